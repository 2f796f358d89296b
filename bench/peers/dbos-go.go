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
)

const (
	peer    = "dbos-go"
	setting = "SQLite, synchronous=FULL, in one process"
	chain   = 40
	width   = 100
)

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
		report("b1", "durable_jobs", "jobs/s", rates(2_000, 64, func() { run(ctx, one) }))
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
