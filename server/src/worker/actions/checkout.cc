// checkout {repository?, ref?, depth?, path?}: the run's commit, or in `exec` the working tree as
// it is.
#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "base/text.h"
#include "worker/actions/action.h"
#include "worker/inside.h"
#include "worker/working_tree.h"

namespace mc::worker {
namespace {
namespace fs = std::filesystem;

Environment git_env(ActionCall& call) {
  Environment env = call.run.process_env(call.env, call.step);
  env.set("GIT_TERMINAL_PROMPT", "0");  // a job has nobody to ask
  env.set("GIT_ASKPASS", "/bin/false");
  env.set("SSH_ASKPASS", "/bin/false");
  env.set("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
  env.set("GIT_CONFIG_NOSYSTEM", "1");
  return env;
}

// Runs a program with its output in the step's log. Errors: unavailable and the like; a failing
// program is internal, so that the caller may try another way.
Result<bool> run_tool(ActionCall& call, std::vector<std::string> argv, const std::string& folder) {
  const Environment env = git_env(call);
  const auto finished = call.run.run_command(
      {.argv = std::move(argv), .env = env.list(), .folder = folder, .path = env.get("PATH")},
      call.step, {.deadline = call.deadline, .heed_cancel = call.heed_cancel});
  if (!finished.ok()) return finished.error();
  if (finished->stop == Stop::timed_out)
    return Error{Code::request_timeout, "the checkout timed out", {}};
  if (finished->stop != Stop::none) return Error{Code::conflict, "cancelled", {}};
  return finished->ended.exit_code == 0;
}

ActionResult copy_tree(ActionCall& call, const std::string& from, const std::string& to) {
  std::error_code failed_copy;
  call.env.set("FROM", from);
  call.env.set("TO", to);
  if (is_in_git(from)) {
    const auto copied = run_tool(call, copy_tree_command(), from);
    if (copied.ok() && *copied) {
      call.say("copied the working tree " + from + ", uncommitted changes included");
      return {};
    }
    call.say("git could not list the working tree; copying all of it");
  }
  fs::copy(from, to,
           fs::copy_options::recursive | fs::copy_options::copy_symlinks |
               fs::copy_options::overwrite_existing,
           failed_copy);
  if (failed_copy)
    return failed(FailureKind::infra, "cannot copy " + from + ": " + failed_copy.message());
  call.say("copied the folder " + from);
  return {};
}

struct Source {
  std::string repository, ref, depth;
};

// Fetches `what` into the fresh repository in `to`; false when git says no.
Result<bool> fetch(ActionCall& call, const std::string& to, const Source& source,
                   const std::string& what, bool shallow) {
  std::vector<std::string> argv{"git",   "-C",      to,         "-c", "protocol.ext.allow=never",
                                "fetch", "--quiet", "--no-tags"};
  if (shallow) argv.push_back("--depth=" + source.depth);
  argv.insert(argv.end(), {"--", source.repository, what});
  auto fetched = run_tool(call, std::move(argv), to);
  if (!fetched.ok() || !*fetched) return fetched;
  return run_tool(call,
                  {"git", "-C", to, "-c", "advice.detachedHead=false", "checkout", "--quiet",
                   "--force", "FETCH_HEAD"},
                  to);
}

bool is_commit(const std::string& text) {
  return text.size() >= 7 && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// Not every server hands out a bare commit: then all branches are fetched and the commit looked
// up.
Result<bool> fetch_any(ActionCall& call, const std::string& to, const Source& source) {
  const bool shallow = source.depth != "0";
  auto got = fetch(call, to, source, source.ref, shallow);
  if (!got.ok() || *got || !is_commit(source.ref)) return got;
  call.say("the repository does not give single commits; fetching all branches");
  got = run_tool(call,
                 {"git", "-C", to, "-c", "protocol.ext.allow=never", "fetch", "--quiet", "--tags",
                  "--", source.repository, "+refs/heads/*:refs/remotes/origin/*"},
                 to);
  if (!got.ok() || !*got) return got;
  return run_tool(call,
                  {"git", "-C", to, "-c", "advice.detachedHead=false", "checkout", "--quiet",
                   "--force", source.ref},
                  to);
}

ActionResult clone(ActionCall& call, const Source& source, const std::string& to) {
  const auto made =
      run_tool(call, {"git", "-c", "init.defaultBranch=main", "init", "--quiet", to}, to);
  if (!made.ok()) return failed(made.error());
  const auto got = *made ? fetch_any(call, to, source) : made;
  if (!got.ok()) {
    if (got.error().code == Code::request_timeout)
      return failed(FailureKind::timeout, got.error().message);
    return failed(got.error());
  }
  // A repository that is away now may be back soon: worth another try.
  if (!*got)
    return failed(FailureKind::infra, "cannot fetch " + source.ref + " of " + source.repository);
  call.say("checked out " + source.ref + " of " + source.repository);
  return {};
}
}  // namespace

ActionResult checkout(ActionCall& call) {
  const auto workspace = call.run.workspace();
  if (!workspace.ok()) return failed(workspace.error());
  std::string to = (*workspace)->files();
  if (call.has("path")) {
    auto target = resolve_inside(to, call.get("path"));
    if (!target.ok()) return failed(FailureKind::user, "with.path: " + target.error().message);
    to = std::move(*target);
    std::error_code ignored;
    fs::create_directories(to, ignored);
  }
  const std::string local = call.run.settings().local_checkout_dir;
  if (!local.empty() && !call.has("repository") && !call.has("ref"))
    return copy_tree(call, local, to);
  Source source{call.get("repository", call.run.run_fact("repository")), call.get("ref"),
                call.get("depth", "1")};
  if (source.repository.empty()) {
    return failed(FailureKind::user,
                  "there is nothing to check out: the run has no repository; start it with one, or "
                  "give with.repository");
  }
  if (source.repository.starts_with('-') || source.ref.starts_with('-')) {
    return failed(FailureKind::user, "a repository or ref cannot begin with `-`");
  }
  if (source.ref.empty() && !call.has("repository")) {
    source.ref = call.run.run_fact("commit");
    if (source.ref.empty()) source.ref = call.run.run_fact("ref");
  }
  if (source.ref.empty()) source.ref = "HEAD";
  int depth = 0;
  const auto [end, error] =
      std::from_chars(source.depth.data(), source.depth.data() + source.depth.size(), depth);
  if (error != std::errc() || *end != '\0' || depth < 0)
    return failed(FailureKind::user, "with.depth is no number: " + source.depth);
  return clone(call, source, to);
}

}  // namespace mc::worker
