// Jobs, graph, why and artifacts of a run; the bytes of artifacts.
#include "api/call.h"
#include "api/files.h"
#include "api/handlers.h"

namespace mc::api {
namespace {
using Read = void (conductor::Service::*)(auth::Principal, Uuid, conductor::Done<std::string>);

void read_run(const CallPtr& call, Read read) {
  const Result<Uuid> id = run_id(*call);
  if (!id) return call->fail(id.error());
  (call->service().*read)(call->principal, *id, json_or_error(call));
}
}  // namespace

void list_jobs(const CallPtr& call) { read_run(call, &conductor::Service::jobs); }
void get_graph(const CallPtr& call) { read_run(call, &conductor::Service::graph); }
void list_artifacts(const CallPtr& call) { read_run(call, &conductor::Service::artifacts); }

void get_job(const CallPtr& call) {
  const Result<Uuid> id = run_id(*call);
  if (!id) return call->fail(id.error());
  call->service().job(call->principal, *id, call->params.at(1), json_or_error(call));
}

void get_why(const CallPtr& call) {
  const Result<Uuid> id = run_id(*call);
  if (!id) return call->fail(id.error());
  call->service().why(call->principal, *id, call->query("job"), json_or_error(call));
}

void get_artifact(const CallPtr& call) {
  const std::string& digest = call->params.at(0);
  offload(call, [call, digest] {
    const auto file = call->service().blobs().open(digest);
    if (!file && file.error().code != Code::not_found) return call->fail(file.error());
    if (!file)
      return call->fail({Code::not_found,
                         "there is no artifact " + digest + ": it never was, or was kept no longer",
                         {}});
    http::Response response{.content_type = "application/octet-stream"};
    response.headers.push_back({"ETag", "\"" + digest + "\""});
    // Never shown by a browser as a page of this site.
    response.headers.push_back({"Content-Disposition", "attachment"});
    answer_file(*call, std::move(response), file->path, file->size);
  });
}
}  // namespace mc::api
