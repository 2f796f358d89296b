// river [BENCH...], with PostgreSQL at PGURL: one JSON line a figure, named like ours.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const chain = 40

type noopArgs struct{}

func (noopArgs) Kind() string { return "noop" }

type hopArgs struct {
	Left int `json:"left"`
}

func (hopArgs) Kind() string { return "hop" }

type noopWorker struct {
	river.WorkerDefaults[noopArgs]
}

func (noopWorker) Work(context.Context, *river.Job[noopArgs]) error { return nil }

var hops = make(chan time.Time, chain+1)

type hopWorker struct {
	river.WorkerDefaults[hopArgs]
}

func (hopWorker) Work(ctx context.Context, job *river.Job[hopArgs]) error {
	hops <- time.Now()
	if job.Args.Left == 0 {
		return nil
	}
	_, err := river.ClientFromContext[pgx.Tx](ctx).Insert(ctx, hopArgs{job.Args.Left - 1}, nil)
	return err
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func report(bench, metric, unit string, values []float64) {
	sort.Float64s(values)
	line := map[string]any{"peer": "river", "version": os.Getenv("PEER_VERSION"),
		"setting": "PostgreSQL, fsync on; 1,000 workers, fetch cooldown 1 ms", "bench": bench, "metric": metric,
		"unit": unit, "value": values[len(values)/2], "runs": len(values), "min": values[0], "max": values[len(values)-1]}
	fmt.Println(string(must(json.Marshal(line))))
}

func wanted(bench string) bool { return len(os.Args) < 2 || slices.Contains(os.Args[1:], bench) }

func newClient(pool *pgxpool.Pool) *river.Client[pgx.Tx] {
	workers := river.NewWorkers()
	river.AddWorker(workers, &noopWorker{})
	river.AddWorker(workers, &hopWorker{})
	return must(river.NewClient(riverpgxv5.New(pool), &river.Config{
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 1000}},
		Workers:           workers,
		FetchCooldown:     time.Millisecond,
		FetchPollInterval: 50 * time.Millisecond,
		Logger:            slog.New(slog.NewTextHandler(io.Discard, nil)),
	}))
}

// Jobs inserted first, then drained: jobs a second until the last is recorded as completed.
func drain(ctx context.Context, pool *pgxpool.Pool) {
	const jobs = 20_000
	rates := []float64{}
	for round := 0; round < 3; round++ {
		must(pool.Exec(ctx, "truncate river_job"))
		client := newClient(pool)
		params := make([]river.InsertManyParams, jobs)
		for i := range params {
			params[i].Args = noopArgs{}
		}
		must(client.InsertManyFast(ctx, params))
		began := time.Now()
		must(0, client.Start(ctx))
		for left := jobs; left > 0; time.Sleep(5 * time.Millisecond) {
			must(0, pool.QueryRow(ctx, "select count(*) from river_job where state <> 'completed'").Scan(&left))
		}
		rates = append(rates, jobs/time.Since(began).Seconds())
		must(0, client.Stop(ctx))
	}
	report("b1", "durable_jobs", "jobs/s", rates)
}

func steps(ctx context.Context, client *river.Client[pgx.Tx]) {
	must(0, client.Start(ctx))
	ms := []float64{}
	for run := 0; run < 10; run++ {
		must(client.Insert(ctx, hopArgs{chain}, nil))
		last := <-hops
		for i := 0; i < chain; i++ {
			at := <-hops
			ms = append(ms, float64(at.Sub(last).Microseconds())/1000)
			last = at
		}
	}
	must(0, client.Stop(ctx))
	report("b3", "step_p50", "ms", ms)
}

func accept(ctx context.Context, client *river.Client[pgx.Tx]) {
	ms := []float64{}
	for i := 0; i < 500; i++ {
		began := time.Now()
		must(client.Insert(ctx, noopArgs{}, nil))
		ms = append(ms, float64(time.Since(began).Microseconds())/1000)
	}
	report("b5", "accept_1_connection_p50", "ms", ms)
	const many = 5_000
	rates := []float64{}
	for round := 0; round < 3; round++ {
		var next atomic.Int64
		var lanes sync.WaitGroup
		began := time.Now()
		for lane := 0; lane < 64; lane++ {
			lanes.Add(1)
			go func() {
				defer lanes.Done()
				for next.Add(1) <= many {
					must(client.Insert(ctx, noopArgs{}, nil))
				}
			}()
		}
		lanes.Wait()
		rates = append(rates, many/time.Since(began).Seconds())
	}
	report("b5", "accept_64_connections", "req/s", rates)
}

func main() {
	ctx := context.Background()
	config := must(pgxpool.ParseConfig(os.Getenv("PGURL")))
	config.MaxConns = 70
	pool := must(pgxpool.NewWithConfig(ctx, config))
	migrator := must(rivermigrate.New(riverpgxv5.New(pool), nil))
	must(migrator.Migrate(ctx, rivermigrate.DirectionUp, nil))
	if wanted("b1") {
		drain(ctx, pool)
	}
	if wanted("b3") {
		steps(ctx, newClient(pool))
	}
	if wanted("b5") {
		accept(ctx, newClient(pool))
	}
}
