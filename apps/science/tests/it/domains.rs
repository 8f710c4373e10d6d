//! Risk: results that depend on the number of domains or threads, and domains that wait for ever.

use std::sync::Arc;

use insula::{Isolate, Runtime};
use science::fluid::{
    FluidState, Grid, Phase, Potential, Sample, Simulate, Simulation, SimulationError, Take, start,
};

use crate::support::{liquid, simulate};

/// Everything of a sample that must not depend on the domains.
fn content(samples: &[Sample]) -> Vec<Sample> {
    let content = |sample: &Sample| Sample {
        traffic: Default::default(),
        time: Default::default(),
        ..sample.clone()
    };
    samples.iter().map(content).collect()
}

#[test]
fn a_run_has_the_same_bits_for_any_number_of_domains() {
    let request = |domains| Simulate {
        // A box of eight layers. At this temperature particles change their domains often.
        particles: 864,
        temperature: 1.5,
        equilibration: 50,
        production: 250,
        frames: 50,
        neighbors: 50,
        domains,
        ..liquid()
    };
    assert_eq!(request(1).grid().unwrap().most_domains(), 4);
    let one = simulate(&request(1)).unwrap();
    assert_eq!(one.len(), 31);
    assert_eq!(
        one.iter().filter(|sample| sample.frame.is_some()).count(),
        7
    );
    assert_eq!(one.last().unwrap().phase, Phase::Production);
    assert_eq!(one.last().unwrap().traffic.migrated, 0);
    for domains in [2, 3, 4] {
        let several = simulate(&request(domains)).unwrap();
        assert!(content(&one) == content(&several), "{domains} domains");
        let traffic = several.last().unwrap().traffic;
        assert!(traffic.migrated > 100, "{traffic:?}");
        // Two neighbors, each with two parcels in a step, and the first halos.
        assert_eq!(traffic.messages, domains as u64 * (300 * 4 + 2));
    }
}

#[test]
fn a_run_has_the_same_bits_on_one_thread() {
    let request = Simulate {
        domains: 3,
        frames: 100,
        ..liquid()
    };
    let many = simulate(&request).unwrap();
    let runtime = Runtime::builder().threads(1).build();
    let one = {
        let _entered = runtime.enter();
        simulate(&request).unwrap()
    };
    runtime.shut_down();
    assert!(content(&many) == content(&one));
    let traffic = |samples: &[Sample]| samples.last().unwrap().traffic;
    assert_eq!(traffic(&many), traffic(&one));
}

#[test]
fn each_particle_is_there_once_and_in_the_box() {
    let request = Simulate {
        domains: 3,
        temperature: 2.0,
        frames: 20,
        ..liquid()
    };
    let length = request.length();
    for sample in simulate(&request).unwrap() {
        let Some(frame) = sample.frame else { continue };
        assert!(frame.number.iter().copied().eq(0..500));
        for coordinate in frame.position.iter().flatten() {
            assert!((0.0..length).contains(coordinate), "{coordinate}");
        }
    }
}

/// A request may come from another machine, where nothing has checked it.
#[test]
fn a_state_that_is_none_and_too_many_particles_are_refused() {
    let frame = simulate(&Simulate {
        frames: 1,
        ..liquid()
    });
    let frame = frame.unwrap().pop().and_then(|sample| sample.frame);
    let state = FluidState {
        particles: frame.unwrap(),
        length: liquid().length(),
    };
    let begun = |change: fn(&mut FluidState)| {
        let mut state = state.clone();
        change(&mut state);
        liquid().begin_with(Arc::new(state))
    };
    assert!(simulate(&begun(|_| {})).is_ok());
    let fewer = Simulate {
        particles: 499,
        ..begun(|_| {})
    };
    let too_many = Simulate {
        particles: Simulate::MOST_PARTICLES + 1,
        ..liquid()
    };
    for (request, field) in [
        (
            begun(|it| it.particles.velocity[2].clear()),
            "number of particles",
        ),
        (fewer, "number of particles"),
        (too_many, "number of particles"),
        (begun(|it| it.length = f64::INFINITY), "density"),
    ] {
        let field = field.into();
        assert_eq!(simulate(&request), Err(SimulationError::Invalid { field }));
    }
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    for (request, part) in [
        (
            Simulate {
                domains: 4,
                ..liquid()
            },
            "room for 3 domains, not for 4",
        ),
        (
            Simulate {
                domains: 0,
                ..liquid()
            },
            "room for 3 domains, not for 0",
        ),
        (
            Simulate {
                particles: 100,
                ..liquid()
            },
            "the box is too small",
        ),
        (
            Simulate {
                particles: 1,
                ..liquid()
            },
            "number of particles makes no sense",
        ),
        (
            Simulate {
                every: 0,
                ..liquid()
            },
            "interval of samples",
        ),
        (
            Simulate {
                switch: 2.5,
                ..liquid()
            },
            "cut-off makes no sense",
        ),
        (
            Simulate {
                density: f64::NAN,
                ..liquid()
            },
            "density makes no sense",
        ),
        (
            Simulate {
                time_step: -0.1,
                ..liquid()
            },
            "time step makes no sense",
        ),
        (
            Simulate {
                temperature: 0.0,
                ..liquid()
            },
            "temperature makes no sense",
        ),
    ] {
        let error = simulate(&request).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_simulation_that_explodes_ends_with_an_error_and_not_with_a_wait() {
    for domains in [1, 3] {
        let request = Simulate {
            time_step: 0.2,
            production: 1000,
            domains,
            ..liquid()
        };
        let error = simulate(&request).unwrap_err();
        assert!(matches!(error, SimulationError::Unstable { .. }), "{error}");
    }
}

/// A simulation of three domains, used by the current isolate.
async fn simulation() -> Simulation {
    let request = liquid();
    let grid = request.grid().unwrap();
    let potential = Potential::smooth(2.0, 2.5).unwrap();
    let particles = start(500, request.length(), 0.722, 1);
    Simulation::start(&particles, grid, potential, 0.004, 3)
        .await
        .unwrap()
}

#[test]
fn a_domain_that_is_killed_ends_the_simulation_with_an_error() {
    let run = Isolate::run_async(async || {
        let mut simulation = simulation().await;
        let domains = simulation.group().isolates();
        domains[1].kill();
        let error = simulation
            .advance(1000, 1.0, Take::default())
            .await
            .unwrap_err();
        for domain in domains {
            domain.exited().await;
        }
        error
    });
    let error = run.wait().unwrap();
    assert!(
        matches!(error, SimulationError::DomainEnded { .. }),
        "{error}"
    );
}

#[test]
fn dropping_a_simulation_ends_its_domains() {
    let run = Isolate::run_async(async || {
        let simulation = simulation().await;
        let domains = simulation.group().isolates();
        assert_eq!(domains.len(), 3);
        drop(simulation);
        for domain in domains {
            domain.exited().await;
        }
    });
    run.wait().unwrap();
}

#[test]
fn layers_are_divided_among_domains_without_gaps() {
    for cells in 5..40 {
        let grid = Grid::new(cells as f64 + 0.5, 2.0).unwrap();
        assert_eq!(grid.cells(), cells);
        for domains in 1..=grid.most_domains() {
            let layers = grid.domains(domains).unwrap();
            assert!(layers.iter().all(|it| it.len() >= Grid::REACH));
            assert!(layers.iter().cloned().flatten().eq(0..cells));
        }
    }
}
