// dbos-go [BENCH...], in the folder SCRATCH: one JSON line a figure, named like ours.
package main

import (
	"context"
	"database/sql"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	peer  = "dbos-go"
	chain = 40
	width = 100
)

var setting = "SQLite, synchronous=FULL, in one process"

func noop(context.Context) (int, error) { return 0, nil }

func one(ctx dbos.Context, _ int) (int, error) { return dbos.RunAsStep(ctx, noop) }

func two(ctx dbos.Context, _ int) (int, error) {
	if _, err := dbos.RunAsStep(ctx, noop); err != nil {
		return 0, err
	}
	return dbos.RunAsStep(ctx, noop)
}

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

func onSQLite(config *dbos.Config) {
	file := filepath.Join(os.Getenv("SCRATCH"), "dbos.db")
	db := must(sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(5000)"+
		"&_pragma=foreign_keys(ON)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"))
	db.SetMaxOpenConns(8)
	config.SQLiteSystemDB = db
}

func onPostgres(config *dbos.Config, at string) {
	setting = "PostgreSQL, fsync on; 20 connections, in one process"
	pool := must(pgxpool.ParseConfig(at))
	pool.MaxConns = 20
	config.SystemDBPool = must(pgxpool.NewWithConfig(context.Background(), pool))
}

func main() {
	config := dbos.Config{AppName: "bench", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if at := os.Getenv("PGURL"); at != "" {
		onPostgres(&config, at)
	} else {
		onSQLite(&config)
	}
	ctx := must(dbos.NewContext(context.Background(), config))
	dbos.RegisterWorkflow(ctx, one)
	dbos.RegisterWorkflow(ctx, two)
	dbos.RegisterWorkflow(ctx, steps)
	dbos.RegisterWorkflow(ctx, fan)
	must(0, dbos.Launch(ctx))
	milliseconds(50, func() { run(ctx, one) }) // warm
	if wanted("b1") {
		report("b1", "durable_jobs", "jobs/s", rates(2_000, 64, func() { run(ctx, one) }))
		report("b1", "two_step_runs", "runs/s", rates(2_000, 64, func() { run(ctx, two) }))
	}
	if wanted("b3") {
		reportSteps(10, func() { run(ctx, steps) })
	}
	if wanted("b4") {
		report("b4", "fan_of_100", "ms", milliseconds(10, func() { run(ctx, fan) }))
	}
	if wanted("b5") {
		reportAccept(300, 2_000, func() { must(dbos.RunWorkflow(ctx, one, 0)) })
	}
}
