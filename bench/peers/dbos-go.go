// dbos-go [BENCH...], in the folder SCRATCH: one JSON line a figure, named like ours.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite"
)

const (
	chain = 40
	width = 100
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func report(bench, metric, unit string, values []float64) {
	sort.Float64s(values)
	line := map[string]any{"peer": "dbos-go", "version": os.Getenv("PEER_VERSION"),
		"setting": "SQLite, synchronous=FULL, in one process", "bench": bench, "metric": metric,
		"unit": unit, "value": values[len(values)/2], "runs": len(values), "min": values[0],
		"max": values[len(values)-1]}
	fmt.Println(string(must(json.Marshal(line))))
}

func wanted(bench string) bool { return len(os.Args) < 2 || slices.Contains(os.Args[1:], bench) }

func noop(context.Context) (int, error) { return 0, nil }

func one(ctx dbos.Context, _ int) (int, error) { return dbos.RunAsStep(ctx, noop) }

func steps(ctx dbos.Context, _ int) (int, error) {
	for i := 0; i < chain; i++ {
		if _, err := dbos.RunAsStep(ctx, noop, dbos.WithStepName("s")); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

func fan(ctx dbos.Context, _ int) (int, error) {
	if _, err := dbos.RunAsStep(ctx, noop); err != nil {
		return 0, err
	}
	handles := []dbos.WorkflowHandle[int]{}
	for i := 0; i < width; i++ {
		handle, err := dbos.RunWorkflow(ctx, one, i)
		if err != nil {
			return 0, err
		}
		handles = append(handles, handle)
	}
	for _, handle := range handles {
		if _, err := handle.GetResult(); err != nil {
			return 0, err
		}
	}
	return dbos.RunAsStep(ctx, noop)
}

func run(ctx dbos.Context, workflow dbos.Workflow[int, int]) {
	must(must(dbos.RunWorkflow(ctx, workflow, 0)).GetResult())
}

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

func milliseconds(count int, call func()) []float64 {
	ms := []float64{}
	for i := 0; i < count; i++ {
		began := time.Now()
		call()
		ms = append(ms, float64(time.Since(began).Microseconds())/1000)
	}
	return ms
}

func throughput(ctx dbos.Context) {
	const runs = 2_000
	rates := []float64{}
	for round := 0; round < 3; round++ {
		rates = append(rates, runs/crowd(runs, 64, func() { run(ctx, one) }))
	}
	report("b1", "durable_jobs", "jobs/s", rates)
}

func accept(ctx dbos.Context) {
	start := func() { must(dbos.RunWorkflow(ctx, one, 0)) }
	report("b5", "accept_1_connection_p50", "ms", milliseconds(300, start))
	const runs = 2_000
	rates := []float64{}
	for round := 0; round < 3; round++ {
		rates = append(rates, runs/crowd(runs, 64, start))
	}
	report("b5", "accept_64_connections", "req/s", rates)
}

func main() {
	file := filepath.Join(os.Getenv("SCRATCH"), "dbos.db")
	db := must(sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(5000)"+
		"&_pragma=foreign_keys(ON)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"))
	db.SetMaxOpenConns(8)
	ctx := must(dbos.NewContext(context.Background(), dbos.Config{AppName: "bench",
		SQLiteSystemDB: db, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}))
	dbos.RegisterWorkflow(ctx, one)
	dbos.RegisterWorkflow(ctx, steps)
	dbos.RegisterWorkflow(ctx, fan)
	must(0, dbos.Launch(ctx))
	milliseconds(50, func() { run(ctx, one) }) // warm
	if wanted("b1") {
		throughput(ctx)
	}
	if wanted("b3") {
		ms := milliseconds(10, func() { run(ctx, steps) })
		for i := range ms {
			ms[i] /= chain
		}
		report("b3", "step_p50", "ms", ms)
	}
	if wanted("b4") {
		report("b4", "fan_of_100", "ms", milliseconds(10, func() { run(ctx, fan) }))
	}
	if wanted("b5") {
		accept(ctx)
	}
}
