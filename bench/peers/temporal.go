// temporal [BENCH...], in the folder SCRATCH: one JSON line a figure, named like ours.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/sdk/client"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/temporal"

	schema "go.temporal.io/server/schema/sqlite"
)

const (
	peer    = "temporal"
	setting = "SQLite, WAL, synchronous=FULL; server and worker in one process"
	chain   = 40
	width   = 100
	queue   = "bench"
	local   = "127.0.0.1"
)

func freePort() int {
	listener := must(net.Listen("tcp", local+":0"))
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func service(port int) config.Service {
	return config.Service{RPC: config.RPC{GRPCPort: port, MembershipPort: freePort(),
		BindOnLocalHost: true}}
}

// One partition a queue: with one database connection more of them only cost writes. An activity may
// come with the answer that its workflow's task gets.
var tuning = dynamicconfig.StaticClient{
	dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
	dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,
	dynamicconfig.EnableActivityEagerExecution.Key():        true,
}

// All four services on one SQLite file; returns where the frontend listens.
func startServer() string {
	file := filepath.Join(os.Getenv("SCRATCH"), "temporal.db")
	store := &config.SQL{PluginName: sqlite.PluginName, DatabaseName: file,
		ConnectAttributes: map[string]string{"mode": "rwc", "journal_mode": "wal",
			"synchronous": "2"}} // pragmas: a name with a leading _ would be ignored in silence
	must(0, schema.SetupSchema(store))
	must(0, schema.CreateNamespaces(store,
		must(schema.NewNamespaceConfig("active", "default", false, nil))))
	port := freePort()
	address := fmt.Sprintf("%s:%d", local, port)
	settings := &config.Config{
		Global: config.Global{Membership: config.Membership{MaxJoinDuration: 30 * time.Second,
			BroadcastAddress: local}},
		Persistence: config.Persistence{DefaultStore: "sqlite", VisibilityStore: "sqlite",
			NumHistoryShards: 1, DataStores: map[string]config.DataStore{"sqlite": {SQL: store}}},
		ClusterMetadata: &cluster.Config{FailoverVersionIncrement: 10, MasterClusterName: "active",
			CurrentClusterName: "active", ClusterInformation: map[string]cluster.ClusterInformation{
				"active": {Enabled: true, InitialFailoverVersion: 1, RPCAddress: address}}},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services: map[string]config.Service{"frontend": service(port), "history": service(freePort()),
			"matching": service(freePort()), "worker": service(freePort())},
		Archival: config.Archival{History: config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"}},
		PublicClient: config.PublicClient{HostPort: address},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"}}},
	}
	server := must(temporal.NewServer(temporal.WithConfig(settings),
		temporal.ForServices(temporal.DefaultServices), temporal.WithDynamicConfigClient(tuning),
		temporal.WithLogger(log.NewNoopLogger())))
	must(0, server.Start())
	return address
}

var soon = workflow.ActivityOptions{StartToCloseTimeout: time.Minute}

func noop(context.Context) error { return nil }

func activities(ctx workflow.Context, count int) error {
	ctx = workflow.WithActivityOptions(ctx, soon)
	for i := 0; i < count; i++ {
		if err := workflow.ExecuteActivity(ctx, noop).Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

func fan(ctx workflow.Context) error {
	if err := activities(ctx, 1); err != nil {
		return err
	}
	each := workflow.WithActivityOptions(ctx, soon)
	futures := []workflow.Future{}
	for i := 0; i < width; i++ {
		futures = append(futures, workflow.ExecuteActivity(each, noop))
	}
	for _, future := range futures {
		if err := future.Get(ctx, nil); err != nil {
			return err
		}
	}
	return activities(ctx, 1)
}

func start(c client.Client, on string, flow any, arguments ...any) client.WorkflowRun {
	return must(c.ExecuteWorkflow(context.Background(), client.StartWorkflowOptions{TaskQueue: on},
		flow, arguments...))
}

func run(c client.Client, flow any, arguments ...any) {
	must(0, start(c, queue, flow, arguments...).Get(context.Background(), nil))
}

func main() {
	quiet := tlog.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	c := must(client.Dial(client.Options{HostPort: startServer(), Logger: quiet}))
	hands := worker.New(c, queue, worker.Options{MaxConcurrentWorkflowTaskPollers: 16,
		MaxConcurrentActivityTaskPollers: 16, MaxConcurrentActivityExecutionSize: 500,
		MaxConcurrentWorkflowTaskExecutionSize: 500})
	hands.RegisterActivity(noop)
	hands.RegisterWorkflow(activities)
	hands.RegisterWorkflow(fan)
	must(0, hands.Start())
	milliseconds(10, func() { run(c, activities, 1) }) // warm
	if wanted("b1") {
		report("b1", "durable_jobs", "jobs/s", rates(300, 64, func() { run(c, activities, 1) }))
	}
	if wanted("b3") {
		reportSteps(10, func() { run(c, activities, chain) })
	}
	if wanted("b4") {
		report("b4", "fan_of_100", "ms", milliseconds(10, func() { run(c, fan) }))
	}
	if wanted("b5") { // accepted only, as in ours: no worker asks for that queue
		reportAccept(100, 500, func() { start(c, "later", activities, 0) })
	}
}
