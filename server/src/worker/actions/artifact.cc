// artifact/upload {name, path, keep?}; artifact/download {name?, path?, run?}
#include <algorithm>

#include "base/text.h"
#include "worker/actions/action.h"
#include "worker/inside.h"
#include "worker/storage.h"

namespace mc::worker {

ActionResult upload_artifact(ActionCall& call) {
  const auto patterns = path_lines(call.get("path"));
  if (patterns.empty()) return failed(FailureKind::user, "with.path is missing: what to upload");
  const auto keep = parse_duration(call.get("keep", "0s"));
  if (!keep) return failed(FailureKind::user, "with.keep is no duration: " + call.get("keep"));
  const auto sent = upload(call.run, call.get("name"), patterns, *keep);
  if (!sent.ok()) {
    const FailureKind kind =
        sent.error().code == Code::not_found ? FailureKind::user : failure_of(sent.error()).kind;
    return failed(kind, "artifact `" + call.get("name") + "`: " + sent.error().message);
  }
  call.say("uploaded artifact `" + sent->name + "` (" + format_size(sent->size) + ", " +
           sent->digest + ")");
  Value outputs = Object{};
  outputs.set("digest", sent->digest);
  outputs.set("size", std::to_string(sent->size));
  return {.outputs = std::move(outputs)};
}

ActionResult download_artifact(ActionCall& call) {
  const auto workspace = call.run.workspace();
  if (!workspace.ok()) return failed(workspace.error());
  Uuid source = call.run.task().run_id;
  if (call.has("run")) {
    const auto given = parse_uuid(call.get("run"));
    if (!given) return failed(FailureKind::user, "with.run is no id of a run: " + call.get("run"));
    source = *given;
  }
  const std::string name = call.get("name");
  const auto found = call.run.api().find_artifacts(call.run.hold(), source, name);
  if (!found.ok()) return failed(found.error());
  if (found->empty())
    return failed(FailureKind::user,
                  "there is no artifact `" + name + "` in run " + to_string(source));
  const std::string path = call.get("path", ".");
  const auto target = resolve_inside((*workspace)->files(), path);
  if (!target.ok()) return failed(FailureKind::user, "with.path: " + target.error().message);
  const std::string& root = *target;
  std::vector<std::string> taken;
  for (const ArtifactRef& artifact : *found) {
    // Newest first: of several attempts the latest counts. Without a name all come, a folder each.
    if (std::ranges::find(taken, artifact.name) != taken.end()) continue;
    taken.push_back(artifact.name);
    const std::string folder = name.empty() ? root + "/" + artifact.name : root;
    if (const Status got = download(call.run, artifact, folder); !got) {
      return failed(failure_of(got.error()).kind,
                    "artifact `" + artifact.name + "`: " + got.error().message);
    }
    call.say("downloaded artifact `" + artifact.name + "` (" + format_size(artifact.size) +
             ") to " + path);
  }
  return {};
}

}  // namespace mc::worker
