// What the Go peers share: how figures are taken and printed, named like ours.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

// One JSON line: the median of `values` and their spread. Each peer says who it is in `peer` and `setting`.
func report(bench, metric, unit string, values []float64) {
	sort.Float64s(values)
	line := map[string]any{"peer": peer, "version": os.Getenv("PEER_VERSION"), "setting": setting,
		"bench": bench, "metric": metric, "unit": unit, "value": values[len(values)/2],
		"runs": len(values), "min": values[0], "max": values[len(values)-1]}
	fmt.Println(string(must(json.Marshal(line))))
}

func wanted(bench string) bool { return len(os.Args) < 2 || slices.Contains(os.Args[1:], bench) }

// Seconds that `count` calls take, `lanes` at once.
func crowd(count int64, lanes int, call func()) float64 {
	var next atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for lane := 0; lane < lanes; lane++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for next.Add(1) <= count {
				call()
			}
		}()
	}
	all.Wait()
	return time.Since(began).Seconds()
}

// How often a rate is taken: PEER_REPEATS (3).
func repeats() int {
	if times, err := strconv.Atoi(os.Getenv("PEER_REPEATS")); err == nil {
		return times
	}
	return 3
}

// Calls a second, some times `count` of them, `lanes` at once.
func rates(count int64, lanes int, call func()) []float64 {
	each := []float64{}
	for round := 0; round < repeats(); round++ {
		each = append(each, float64(count)/crowd(count, lanes, call))
	}
	return each
}

func milliseconds(count int, call func()) []float64 {
	ms := []float64{}
	for i := 0; i < count; i++ {
		began := time.Now()
		call()
		ms = append(ms, float64(time.Since(began).Microseconds())/1000)
	}
	return ms
}

// b3 of a peer whose `call` is one run of `chain` steps.
func reportSteps(runs int, call func()) {
	ms := milliseconds(runs, call)
	for i := range ms {
		ms[i] /= chain
	}
	report("b3", "step_p50", "ms", ms)
}

// b5: `call` returns once it is accepted.
func reportAccept(single int, many int64, call func()) {
	report("b5", "accept_1_connection_p50", "ms", milliseconds(single, call))
	report("b5", "accept_64_connections", "req/s", rates(many, 64, call))
}
