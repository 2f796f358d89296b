// temporal [BENCH...], in the folder SCRATCH: one JSON line a figure, named like ours.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/temporal"
	sqltool "go.temporal.io/server/tools/sql"
	"google.golang.org/protobuf/types/known/durationpb"

	schema "go.temporal.io/server/schema/sqlite"
)

const (
	peer    = "temporal"
	chain   = 40
	width   = 100
	queue   = "bench"
	local   = "127.0.0.1"
	shards4 = 4

	namespace = "default"
)

var setting = "SQLite, WAL, synchronous=FULL; server and worker in one process"

// Below 32,768: on PostgreSQL the server keeps its port in an int2.
func freePort() int {
	for {
		listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", local, 20_000+rand.IntN(12_000)))
		if err == nil {
			defer listener.Close()
			return listener.Addr().(*net.TCPAddr).Port
		}
	}
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

// One SQLite file, with its schema and namespace.
func onSQLite() (store, visibility *config.SQL, shards int32) {
	file := filepath.Join(os.Getenv("SCRATCH"), "temporal.db")
	store = &config.SQL{PluginName: sqlite.PluginName, DatabaseName: file,
		ConnectAttributes: map[string]string{"mode": "rwc", "journal_mode": "wal",
			"synchronous": "2"}} // pragmas: a name with a leading _ would be ignored in silence
	must(0, schema.SetupSchema(store))
	must(0, schema.CreateNamespaces(store,
		must(schema.NewNamespaceConfig("active", namespace, false, nil))))
	return store, store, 1
}

// Two databases of the PostgreSQL at PGURL, brought up as its own tool for operators does it.
func onPostgres(at *url.URL) (store, visibility *config.SQL, shards int32) {
	setting = "PostgreSQL, fsync on; pgx, 4 shards, 4 partitions a queue, 20 connections"
	partitions := shards4
	tuning[dynamicconfig.MatchingNumTaskqueueReadPartitions.Key()] = partitions
	tuning[dynamicconfig.MatchingNumTaskqueueWritePartitions.Key()] = partitions
	database := func(name, schema string) *config.SQL {
		tool := func(words ...string) {
			must(0, sqltool.RunTool(append([]string{"tool", "--plugin", postgresql.PluginNamePGX,
				"--ep", at.Hostname(), "--port", at.Port(), "--user", at.User.Username(),
				"--db", name}, words...)))
		}
		tool("create-database")
		tool("setup-schema", "--version", "0.0")
		tool("update-schema", "--schema-name", "postgresql/v12/"+schema)
		return &config.SQL{PluginName: postgresql.PluginNamePGX, DatabaseName: name,
			ConnectAddr: at.Host, ConnectProtocol: "tcp", User: at.User.Username(),
			MaxConns: 20, MaxIdleConns: 20}
	}
	return database("temporal", "temporal"), database("visibility", "visibility"), shards4
}

func onStore() (store, visibility *config.SQL, shards int32) {
	if at := os.Getenv("PGURL"); at != "" {
		return onPostgres(must(url.Parse(at)))
	}
	return onSQLite()
}

// All four services; returns where the frontend listens.
func startServer() string {
	store, visibility, shards := onStore()
	port := freePort()
	address := fmt.Sprintf("%s:%d", local, port)
	settings := &config.Config{
		Global: config.Global{Membership: config.Membership{MaxJoinDuration: 30 * time.Second,
			BroadcastAddress: local}},
		Persistence: config.Persistence{DefaultStore: "store", VisibilityStore: "seen",
			NumHistoryShards: shards, DataStores: map[string]config.DataStore{
				"store": {SQL: store}, "seen": {SQL: visibility}}},
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

func eventually(act func() error) {
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		err := act()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			must(0, err)
		}
	}
}

// A new namespace is seen by all services within some seconds.
func register(options client.Options) {
	names := must(client.NewNamespaceClient(options))
	defer names.Close()
	eventually(func() error {
		err := names.Register(context.Background(), &workflowservice.RegisterNamespaceRequest{
			Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour)})
		var there *serviceerror.NamespaceAlreadyExists
		if errors.As(err, &there) {
			return nil
		}
		return err
	})
	c := must(client.Dial(options))
	defer c.Close()
	eventually(func() error {
		_, err := c.ExecuteWorkflow(context.Background(),
			client.StartWorkflowOptions{TaskQueue: "nobody"}, "nothing")
		return err
	})
}

func main() {
	quiet := tlog.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	options := client.Options{HostPort: startServer(), Logger: quiet}
	register(options)
	c := must(client.Dial(options))
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
		report("b1", "two_step_runs", "runs/s", rates(300, 64, func() { run(c, activities, 2) }))
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
