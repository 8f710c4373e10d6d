#!/usr/bin/env escript
%%! +P 2000000 +S 2:2
%%
%% The cases of the bench that Erlang processes can answer.
%%
%% usage: escript bench.escript CASE DIVISOR
%% Prints case<TAB>value<TAB>unit, or case/metric<TAB>value<TAB>unit where there are several.
-mode(compile).
-export([main/1, init/1, handle_call/3, handle_cast/2]).

main([Case, DivisorText]) ->
    Divisor = list_to_integer(DivisorText),
    %% The script's own process does nothing else, but has a small heap; a fresh one is fair.
    Self = self(),
    {_, Ref} = spawn_monitor(fun() -> run(Case, Divisor), Self ! done end),
    receive
        {'DOWN', Ref, process, _, normal} -> ok;
        {'DOWN', Ref, process, _, Reason} ->
            io:format(standard_error, "~p~n", [Reason]),
            halt(1)
    end;
main(_) ->
    io:format(standard_error, "usage: bench.escript CASE DIVISOR~n", []),
    halt(2).

run("one-way", D) -> value("one-way", "M/s", fun(N) -> many_to_one(1, N) end, 3000000 div D);
run("fan-in", D) -> value("fan-in", "M/s", fun(N) -> many_to_one(100, N) end, 3000000 div D);
run("ring", D) -> value("ring", "M/s", fun(N) -> ring(1000, N) end, 1000 div D);
run("ping-pong", D) -> value("ping-pong", "ns", fun(N) -> round_trips(N, 0) end, 500000 div D);
run("hand-over-" ++ Size = Case, D) ->
    Buffer = binary:copy(<<7>>, list_to_integer(Size)),
    value(Case, "ns", fun(N) -> round_trips(N, Buffer) end, 200000 div D);
run("ask", D) ->
    value("ask", "ns", fun(N) -> ns_each(ask(1, N), N) end, 200000 div D);
run("ask-tasks", D) ->
    value("ask-tasks", "M/s", fun(N) -> rate(ask(1000, N), N) end, 500000 div D);
run("spawn", D) -> lives(1000000 div D).

%% A warm-up of a tenth, then the case.
value(Case, Unit, Run, Count) ->
    Run(Count div 10),
    line(Case, Run(Count), Unit).

line(Case, Value, Unit) -> io:format("~s\t~f\t~s~n", [Case, float(Value), Unit]).

timed(Run) ->
    Start = erlang:monotonic_time(nanosecond),
    Result = Run(),
    {erlang:monotonic_time(nanosecond) - Start, Result}.

ns_each(Ns, Count) -> Ns / Count.
rate(Ns, Count) -> Count * 1000 / Ns.

many_to_one(Senders, Count) ->
    Each = Count div Senders,
    Total = Each * Senders,
    Self = self(),
    {Ns, Sum} = timed(fun() ->
        spawn_link(fun() -> Self ! {sum, sum(Total, 0)} end) ! {senders, Senders, Each},
        receive {sum, S} -> S end
    end),
    Sum = Senders * (Each * (Each - 1) div 2),
    rate(Ns, Total).

%% Starts the senders itself, so that they know it.
sum(Total, 0) ->
    Self = self(),
    receive {senders, Senders, Each} ->
        [spawn_link(fun() -> send(Self, 0, Each) end) || _ <- lists:seq(1, Senders)]
    end,
    sum_loop(Total, 0).

sum_loop(0, Sum) -> Sum;
sum_loop(Left, Sum) -> receive Value when is_integer(Value) -> sum_loop(Left - 1, Sum + Value) end.

send(_, Each, Each) -> ok;
send(To, Value, Each) -> To ! Value, send(To, Value + 1, Each).

ring(Members, Laps) ->
    Hops = Members * Laps,
    Self = self(),
    Start = fun(_, Next) -> spawn_link(fun() -> member(Next, Hops, Self) end) end,
    Last = spawn_link(fun() -> receive {next, Next} -> member(Next, Hops, Self) end end),
    First = lists:foldl(Start, Last, lists:seq(2, Members)),
    Last ! {next, First},
    {Ns, _} = timed(fun() -> First ! 1, receive {hops, Hops} -> ok end end),
    First ! stop,
    rate(Ns, Hops).

member(Next, Hops, End) ->
    receive
        Hops -> End ! {hops, Hops}, member(Next, Hops, End);
        stop -> Next ! stop;
        Hop -> Next ! Hop + 1, member(Next, Hops, End)
    end.

round_trips(Count, Token) ->
    Self = self(),
    Peer = spawn_link(fun() -> echo(Self) end),
    {Ns, Token} = timed(fun() -> round_trips(Peer, Count, Token) end),
    Peer ! stop,
    ns_each(Ns, Count).

round_trips(_, 0, Token) -> Token;
round_trips(Peer, Count, Token) ->
    Peer ! {token, Token},
    receive {token, Back} -> round_trips(Peer, Count - 1, Back) end.

echo(To) ->
    receive
        {token, Token} -> To ! {token, Token}, echo(To);
        stop -> ok
    end.

%% A gen_server that adds one, called through the library's own protocol.
ask(Askers, Count) ->
    {ok, Server} = gen_server:start_link(?MODULE, [], []),
    Each = Count div Askers,
    Self = self(),
    {Ns, _} = timed(fun() ->
        [spawn_link(fun() -> call(Server, Each), Self ! asked end) || _ <- lists:seq(1, Askers)],
        [receive asked -> ok end || _ <- lists:seq(1, Askers)]
    end),
    gen_server:stop(Server),
    Ns.

call(_, 0) -> ok;
call(Server, Left) ->
    Answer = Left + 1,
    Answer = gen_server:call(Server, Left),
    call(Server, Left - 1).

init([]) -> {ok, none}.
handle_call(Value, _From, State) -> {reply, Value + 1, State}.
handle_cast(_, State) -> {noreply, State}.

lives(Count) ->
    Self = self(),
    Before = resident(),
    {Spawned, Pids} = timed(fun() ->
        Pids = [spawn(fun() -> Self ! here, life(Self) end) || _ <- lists:seq(1, Count)],
        await(here, Count),
        Pids
    end),
    %% Two words of list cell each are the program's own.
    List = Count * 16,
    Idle = resident() - Before - List,
    {Pinged, _} = timed(fun() -> [P ! ping || P <- Pids], await(pong, Count) end),
    Used = resident() - Before - List,
    {Ended, _} = timed(fun() -> [P ! stop || P <- Pids], await(gone, Count) end),
    line("spawn/spawned", Spawned / Count, "ns each"),
    line("spawn/first message", Pinged / Count, "ns each"),
    line("spawn/ended", Ended / Count, "ns each"),
    line("spawn/memory idle", Idle / Count, "B each"),
    line("spawn/memory used", Used / Count, "B each").

life(Parent) ->
    receive
        ping -> Parent ! pong, life(Parent);
        stop -> Parent ! gone
    end.

await(_, 0) -> ok;
await(What, Left) -> receive What -> await(What, Left - 1) end.

resident() ->
    {ok, Text} = file:read_file("/proc/self/statm"),
    [_, Pages | _] = binary:split(Text, <<" ">>, [global]),
    binary_to_integer(Pages) * 4096.
