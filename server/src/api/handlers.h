// Every handler of the table of routes, by resource; each is defined in the file of that name.
#pragma once

#include "api/route.h"

namespace mc::api {

// meta.cc
void get_health(const CallPtr& call);
void get_ready(const CallPtr& call);
void get_metrics(const CallPtr& call);
void get_openapi(const CallPtr& call);
void get_errors_page(const CallPtr& call);
void get_version(const CallPtr& call);
void get_me(const CallPtr& call);
// runs.cc
void start_run(const CallPtr& call);
void get_run(const CallPtr& call);
void delete_run(const CallPtr& call);
void cancel_run(const CallPtr& call);
void rerun_run(const CallPtr& call);
void signal_run(const CallPtr& call);
// run_list.cc
void list_runs(const CallPtr& call);
// jobs.cc
void list_jobs(const CallPtr& call);
void get_job(const CallPtr& call);
void get_graph(const CallPtr& call);
void get_why(const CallPtr& call);
void list_artifacts(const CallPtr& call);
void get_artifact(const CallPtr& call);
// logs.cc, log_stream.cc
void get_logs(const CallPtr& call);
void follow_logs(const CallPtr& call);
// events.cc, feed.cc
void list_run_events(const CallPtr& call);
void list_events(const CallPtr& call);
// workflows.cc
void put_workflow(const CallPtr& call);
void validate_workflow(const CallPtr& call);
void list_workflows(const CallPtr& call);
void get_workflow(const CallPtr& call);
void list_workflow_versions(const CallPtr& call);
void delete_workflow(const CallPtr& call);
// approvals.cc
void list_approvals(const CallPtr& call);
void list_run_approvals(const CallPtr& call);
void decide_approval(const CallPtr& call);
// schedules.cc
void list_schedules(const CallPtr& call);
void create_schedule(const CallPtr& call);
void get_schedule(const CallPtr& call);
void get_schedule_fires(const CallPtr& call);
void pause_schedule(const CallPtr& call);
void resume_schedule(const CallPtr& call);
void run_schedule(const CallPtr& call);
void backfill_schedule(const CallPtr& call);
void delete_schedule(const CallPtr& call);
// workers.cc
void list_workers(const CallPtr& call);
void drain_worker(const CallPtr& call);
void resume_worker(const CallPtr& call);
// worker_protocol.cc
void worker_register(const CallPtr& call);
void worker_poll(const CallPtr& call);
void worker_heartbeat(const CallPtr& call);
void worker_complete(const CallPtr& call);
void worker_logs(const CallPtr& call);
// worker_blobs.cc, worker_parts.cc, worker_cache.cc
void worker_get_blob(const CallPtr& call);
void worker_put_blob(const CallPtr& call);
std::shared_ptr<http::BodySink> worker_blob_sink(const CallPtr& call);
void worker_patch_blob(const CallPtr& call);
std::shared_ptr<http::BodySink> worker_part_sink(const CallPtr& call);
void worker_get_cache(const CallPtr& call);
void worker_put_cache(const CallPtr& call);
void worker_list_artifacts(const CallPtr& call);
// tokens.cc
void list_tokens(const CallPtr& call);
void create_token(const CallPtr& call);
void delete_token(const CallPtr& call);
// secrets.cc
void list_secrets(const CallPtr& call);
void put_secret(const CallPtr& call);
void delete_secret(const CallPtr& call);
void list_variables(const CallPtr& call);
void get_variable(const CallPtr& call);
void put_variable(const CallPtr& call);
void delete_variable(const CallPtr& call);
// hooks.cc
void take_hook(const CallPtr& call);
// github_webhook.cc
void take_github_webhook(const CallPtr& call);

}  // namespace mc::api
