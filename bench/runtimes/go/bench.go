// The cases of the bench that goroutines and channels can answer.
//
// usage: bench CASE DIVISOR
// Prints case<TAB>value<TAB>unit, or case/metric<TAB>value<TAB>unit where there are several.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

const bound = 1024

func check(ok bool, what string) {
	if !ok {
		fmt.Fprintln(os.Stderr, "check failed: "+what)
		os.Exit(1)
	}
}

func nsEach(elapsed time.Duration, count int) float64 {
	return float64(elapsed.Nanoseconds()) / float64(count)
}

func rate(elapsed time.Duration, count int) float64 {
	return float64(count) / elapsed.Seconds() / 1e6
}

// manyToOne sends count values from some goroutines to this one.
func manyToOne(senders, count int) float64 {
	values := make(chan uint64, bound)
	each := count / senders
	var done sync.WaitGroup
	done.Add(senders)
	start := time.Now()
	for s := 0; s < senders; s++ {
		go func() {
			for i := 0; i < each; i++ {
				values <- uint64(i)
			}
			done.Done()
		}()
	}
	go func() {
		done.Wait()
		close(values)
	}()
	received, sum := 0, uint64(0)
	for value := range values {
		received++
		sum += value
	}
	elapsed := time.Since(start)
	check(received == each*senders, "count")
	check(sum == uint64(senders)*uint64(each)*uint64(each-1)/2, "sum")
	return rate(elapsed, received)
}

// ring passes a token round members goroutines.
func ring(members, laps int) float64 {
	hops := uint64(members * laps)
	links := make([]chan uint64, members)
	for i := range links {
		links[i] = make(chan uint64, 16)
	}
	end := make(chan uint64)
	for i := range links {
		go func(from, to chan uint64) {
			for hop := range from {
				if hop == hops {
					end <- hop
					return
				}
				to <- hop + 1
			}
		}(links[i], links[(i+1)%members])
	}
	start := time.Now()
	links[0] <- 1
	check(<-end == hops, "hops")
	elapsed := time.Since(start)
	for _, link := range links {
		close(link)
	}
	return rate(elapsed, members*laps)
}

// pingPong sends a number there and back over two unbuffered channels.
func pingPong(count int) float64 {
	there, back := make(chan uint64), make(chan uint64)
	go func() {
		for value := range there {
			back <- value + 1
		}
	}()
	value := uint64(0)
	start := time.Now()
	for i := 0; i < count; i++ {
		there <- value
		value = <-back
	}
	elapsed := time.Since(start)
	close(there)
	check(value == uint64(count), "round trips")
	return nsEach(elapsed, count)
}

type request struct {
	value uint64
	reply chan uint64
}

func serve(requests chan request) {
	for r := range requests {
		r.reply <- r.value + 1
	}
}

// ask has askers goroutines ask one server, each one question at a time.
func ask(askers, count int) time.Duration {
	requests := make(chan request, bound)
	go serve(requests)
	var done sync.WaitGroup
	done.Add(askers)
	start := time.Now()
	for a := 0; a < askers; a++ {
		go func() {
			reply := make(chan uint64, 1)
			for i := 0; i < count/askers; i++ {
				requests <- request{uint64(i), reply}
				check(<-reply == uint64(i)+1, "answer")
			}
			done.Done()
		}()
	}
	done.Wait()
	elapsed := time.Since(start)
	close(requests)
	return elapsed
}

func resident() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseUint(strings.Fields(string(text))[1], 10, 64)
	return pages * uint64(os.Getpagesize())
}

// lives keeps count goroutines alive, each waiting on a channel of its own.
func lives(count int) {
	inboxes := make([]chan int, count)
	var stage sync.WaitGroup
	before := resident()
	start := time.Now()
	stage.Add(count)
	for i := range inboxes {
		inbox := make(chan int, 16)
		inboxes[i] = inbox
		go func() {
			stage.Done()
			for range inbox {
				stage.Done()
			}
			stage.Done()
		}()
	}
	stage.Wait()
	spawned := time.Since(start)
	list := uint64(count * 8)
	idle := resident() - before - list

	start = time.Now()
	stage.Add(count)
	for _, inbox := range inboxes {
		inbox <- 1
	}
	stage.Wait()
	pinged := time.Since(start)
	used := resident() - before - list

	start = time.Now()
	stage.Add(count)
	for _, inbox := range inboxes {
		close(inbox)
	}
	stage.Wait()
	ended := time.Since(start)
	fmt.Printf("spawn/spawned\t%f\tns each\n", nsEach(spawned, count))
	fmt.Printf("spawn/first message\t%f\tns each\n", nsEach(pinged, count))
	fmt.Printf("spawn/ended\t%f\tns each\n", nsEach(ended, count))
	fmt.Printf("spawn/memory idle\t%f\tB each\n", float64(idle)/float64(count))
	fmt.Printf("spawn/memory used\t%f\tB each\n", float64(used)/float64(count))
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: bench CASE DIVISOR")
		os.Exit(2)
	}
	runtime.GOMAXPROCS(2)
	name := os.Args[1]
	divisor, err := strconv.Atoi(os.Args[2])
	check(err == nil && divisor > 0, "divisor")
	// value runs a warm-up of a tenth, then the case.
	value := func(unit string, run func(count int) float64, count int) {
		run(count / divisor / 10)
		fmt.Printf("%s\t%f\t%s\n", name, run(count/divisor), unit)
	}
	switch name {
	case "one-way-bounded":
		value("M/s", func(n int) float64 { return manyToOne(1, n) }, 5_000_000)
	case "fan-in":
		value("M/s", func(n int) float64 { return manyToOne(100, n) }, 10_000_000)
	case "ring":
		value("M/s", func(n int) float64 { return ring(1000, n) }, 1000)
	case "ping-pong":
		value("ns", pingPong, 500_000)
	case "ask":
		value("ns", func(n int) float64 { return nsEach(ask(1, n), n) }, 500_000)
	case "ask-tasks":
		value("M/s", func(n int) float64 { return rate(ask(1000, n), n) }, 1_000_000)
	case "spawn":
		lives(1_000_000 / divisor)
	default:
		fmt.Fprintln(os.Stderr, "no such case: "+name)
		os.Exit(2)
	}
}
