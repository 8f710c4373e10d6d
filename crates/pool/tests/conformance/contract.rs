//! The contract of all cases, and what a case works with.

/// Defines the contract and a service for it, with the receiver that is given.
macro_rules! probe {
    ($self:ident: $($receiver:tt)*) => {
        use std::sync::{Arc, OnceLock};
        use std::time::Duration;

        use futures_core::Stream;
        use insula_rpc::{Call, Context, Inbound, contract};

        use $crate::script::{Item, Oops, Play, Seen, Step, Summary};
        use $crate::stage::Stage;
        use $crate::seam::{Host, Transport};

        #[contract(wire, crate = insula_rpc)]
        pub(crate) trait Probe {
            /// One request, one answer.
            async fn run(
                $($receiver)*,
                cx: &Context,
                steps: Vec<Step>,
            ) -> Result<Summary, Oops>;
            /// The answer is a stream, after some steps.
            async fn produce(
                $($receiver)*,
                cx: &Context,
                before: Vec<Step>,
                steps: Vec<Step>,
            ) -> Result<impl Stream<Item = Result<Item, Oops>>, Oops>;
            /// The caller sends a stream.
            async fn absorb(
                $($receiver)*,
                cx: &Context,
                steps: Vec<Step>,
                items: Inbound<Item>,
            ) -> Result<Summary, Oops>;
            /// Both send streams.
            async fn exchange(
                $($receiver)*,
                cx: &Context,
                before: Vec<Step>,
                steps: Vec<Step>,
                items: Inbound<Item>,
            ) -> Result<impl Stream<Item = Result<Item, Oops>>, Oops>;
            /// Nothing there and back.
            async fn empty($($receiver)*, cx: &Context) -> Result<(), Oops>;
            /// Gives bytes back.
            async fn mirror(
                $($receiver)*,
                cx: &Context,
                bytes: Vec<u8>,
            ) -> Result<Vec<u8>, Oops>;
            /// Tells what was sent along.
            async fn inspect($($receiver)*, cx: &Context) -> Result<Seen, Oops>;
            /// Reports steps of its progress, each after a gate of its number.
            async fn progress(
                $($receiver)*,
                cx: &Context,
                steps: u64,
            ) -> Result<(), Oops>;
            /// Calls `inspect` of the next service as a part of this call.
            async fn inspect_next(
                $($receiver)*,
                cx: &Context,
                deadline: Option<Duration>,
            ) -> Result<Seen, Oops>;
            /// Calls `run` of the next service as a part of this call, and notes its error.
            async fn run_next(
                $($receiver)*,
                cx: &Context,
                steps: Vec<Step>,
            ) -> Result<Summary, Oops>;
        }

        /// What all services of a case share.
        #[derive(Debug, Clone, Default)]
        pub(crate) struct Service {
            stage: Stage,
            next: Arc<OnceLock<ProbeCaller>>,
        }

        impl Service {
            fn next(&self) -> &ProbeCaller {
                self.next.get().expect("the case has set it")
            }
        }

        impl Probe for Service {
            async fn run(
                $($receiver)*,
                cx: &Context,
                steps: Vec<Step>,
            ) -> Result<Summary, Oops> {
                Play::new(&$self.stage, cx, steps).play().await
            }

            async fn produce(
                $($receiver)*,
                cx: &Context,
                before: Vec<Step>,
                steps: Vec<Step>,
            ) -> Result<impl Stream<Item = Result<Item, Oops>>, Oops> {
                Play::new(&$self.stage, cx, before).then(steps).await
            }

            async fn absorb(
                $($receiver)*,
                cx: &Context,
                steps: Vec<Step>,
                items: Inbound<Item>,
            ) -> Result<Summary, Oops> {
                let play = Play::new(&$self.stage, cx, steps);
                play.reading(items).play().await
            }

            async fn exchange(
                $($receiver)*,
                cx: &Context,
                before: Vec<Step>,
                steps: Vec<Step>,
                items: Inbound<Item>,
            ) -> Result<impl Stream<Item = Result<Item, Oops>>, Oops> {
                let play = Play::new(&$self.stage, cx, before);
                play.reading(items).then(steps).await
            }

            async fn empty($($receiver)*, _cx: &Context) -> Result<(), Oops> {
                Ok(())
            }

            async fn mirror(
                $($receiver)*,
                _cx: &Context,
                bytes: Vec<u8>,
            ) -> Result<Vec<u8>, Oops> {
                Ok(bytes)
            }

            async fn inspect($($receiver)*, cx: &Context) -> Result<Seen, Oops> {
                // For what goes back.
                let _play = Play::new(&$self.stage, cx, Vec::new());
                Ok(Seen::of(cx))
            }

            async fn progress($($receiver)*, cx: &Context, steps: u64) -> Result<(), Oops> {
                for step in 0..steps {
                    $self.stage.opened(step).await;
                    let report = insula_rpc::Progress::new(step).of(steps);
                    cx.progress(report.message(format!("step {step}")));
                }
                $self.stage.opened(steps).await;
                Ok(())
            }

            async fn inspect_next(
                $($receiver)*,
                cx: &Context,
                deadline: Option<Duration>,
            ) -> Result<Seen, Oops> {
                let mut call = $self.next().inspect().within(cx);
                if let Some(deadline) = deadline {
                    call = call.deadline(deadline);
                }
                call.await.map_err(|error| Oops::new(0, format!("{error:?}")))
            }

            async fn run_next(
                $($receiver)*,
                cx: &Context,
                steps: Vec<Step>,
            ) -> Result<Summary, Oops> {
                match $self.next().run(steps).within(cx).await {
                    Ok(summary) => Ok(summary),
                    Err(error) => {
                        $self.stage.note(format!("next: {error:?}"));
                        Err(Oops::new(0, "next"))
                    }
                }
            }
        }

        /// A service under a transport, as a case uses it.
        #[derive(Debug)]
        pub(crate) struct Set {
            pub(crate) caller: ProbeCaller,
            pub(crate) stage: Stage,
            /// The calls that run at once.
            pub(crate) places: usize,
            next: Arc<OnceLock<ProbeCaller>>,
            host: Host,
        }

        impl Set {
            /// A service whose queue is as long as the transport likes.
            pub(crate) async fn new<T: Transport>() -> Self {
                Self::start::<T>(Stage::default(), None).await
            }

            /// A service whose queue holds so many calls.
            pub(crate) async fn bounded<T: Transport>(bound: usize) -> Self {
                Self::start::<T>(Stage::default(), Some(bound)).await
            }

            /// Two services on one stage. The first one calls the second one.
            pub(crate) async fn pair<T: Transport>() -> (Self, Self) {
                let first = Self::new::<T>().await;
                let second = Self::start::<T>(first.stage.clone(), None).await;
                let is_first = first.next.set(second.caller.clone());
                assert!(is_first.is_ok());
                (first, second)
            }

            async fn start<T: Transport>(stage: Stage, bound: Option<usize>) -> Self {
                let service = Service { stage, ..Service::default() };
                let (stage, next) = (service.stage.clone(), Arc::clone(&service.next));
                let started =
                    T::start::<ProbeCaller, ProbeResponder<Service>>(service, &stage, bound);
                let (caller, host) = started.await;
                let places = T::places::<ProbeResponder<Service>>();
                Self { caller, stage, places, next, host }
            }

            /// Occupies every place until a gate is opened, so that further calls wait.
            pub(crate) async fn occupy(&self, gate: u64) -> Vec<Call<ProbeRunMethod>> {
                let call = || self.caller.run(vec![Step::WaitFor(gate)]).start();
                let calls = (0..self.places).map(|_| call()).collect();
                let line = format!("at {gate}");
                self.stage.noted_times(&line, self.places).await;
                calls
            }

            /// Ends the service once its calls have ended.
            pub(crate) async fn end(self) {
                let Self { caller, next, host, .. } = self;
                drop((caller, next));
                host.end().await;
            }
        }
    };
}

pub(crate) use probe;
