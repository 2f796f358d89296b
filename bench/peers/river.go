// river [BENCH...], with PostgreSQL at PGURL: one JSON line a figure, named like ours.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const (
	peer    = "river"
	setting = "PostgreSQL, fsync on; 1,000 workers, fetch cooldown 1 ms"
	chain   = 40
)

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
	for round := 0; round < repeats(); round++ {
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
		client := newClient(pool)
		reportAccept(500, 5_000, func() { must(client.Insert(ctx, noopArgs{}, nil)) })
	}
}
