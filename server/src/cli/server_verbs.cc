// up, serve, worker: the verbs that stay.
#include <cstdlib>

#include "base/text.h"
#include "cli/session.h"
#include "cli/verb.h"

namespace mc::cli {
namespace {

constexpr int kSlotsMax = 1024;

std::string trimmed_token(const std::string& text) { return std::string(trim(text)); }

Result<int> up(Session& session, const Args& args) {
  UpOptions options;
  for (const char* flag : {"--data", "--listen", "--worker-slots", "--drain-timeout"})
    if (args.has(flag)) options.flags.emplace_back(flag, args.get(flag));
  return session.doors().up(options, session.io());
}

Result<int> serve(Session& session, const Args& args) {
  return session.doors().serve(args.get("--listen"), args.has("--migrate"), session.io());
}

Result<std::string> worker_token(const Io& io, const Args& args) {
  if (!args.has("--token-file")) {
    const std::string direct = variable_or(io, "MAESTRO_TOKEN", "");
    if (!direct.empty()) return direct;
    return Error{Code::unauthenticated, "--token-file is missing (a token of role worker)", {}};
  }
  Result<std::string> text = read_file(args.get("--token-file"));
  if (!text.ok()) return Error{Code::unauthenticated, text.error().message, {}};
  return trimmed_token(*text);
}

// What --executor kubernetes goes with.
Result<std::optional<KubernetesOptions>> kubernetes_options(const Args& args) {
  const bool wanted = args.get("--executor", "process") == "kubernetes";
  for (const char* flag :
       {"--namespace", "--kubeconfig", "--image", "--cpu", "--memory", "--start-patience"}) {
    if (!wanted && args.has(flag))
      return Error{Code::usage, std::string(flag) + " goes with --executor kubernetes", {}};
  }
  if (!wanted) return std::optional<KubernetesOptions>();
  KubernetesOptions options{.namespace_name = args.get("--namespace"),
                            .kubeconfig = args.get("--kubeconfig"),
                            .image = args.get("--image"),
                            .cpu = args.get("--cpu"),
                            .memory = args.get("--memory")};
  if (options.image.empty())
    return Error{Code::usage, "--image is missing: an image of Maestro, for the jobs' pods", {}};
  Result<Millis> patience = args.duration("--start-patience", options.start_patience);
  if (!patience.ok()) return patience.error();
  options.start_patience = *patience;
  return std::optional(options);
}

// "cpu=4,memory=8GiB", either or both.
Result<Resources> capacity_of(const Args& args) {
  Resources capacity;
  const std::string text = args.get("--capacity");
  const Error wrong{Code::usage,
                    "--capacity " + text +
                        ": wanted is cpu=N, memory=SIZE or both, such as "
                        "cpu=4,memory=8GiB",
                    {}};
  for (const std::string& part : text.empty() ? std::vector<std::string>() : split(text, ',')) {
    const std::string_view given = trim(part);
    if (given.starts_with("cpu=")) {
      const std::string number(given.substr(4));
      char* end = nullptr;
      const double cpus = std::strtod(number.c_str(), &end);
      if (number.empty() || *end != '\0' || !(cpus >= kCpusMin && cpus <= kCpusMax)) return wrong;
      capacity.cpu_milli = cpu_milli_of(cpus);
    } else if (given.starts_with("memory=")) {
      const auto bytes = parse_size(given.substr(7));
      if (!bytes || *bytes < 1 || *bytes > kMemoryMax) return wrong;
      capacity.memory = *bytes;
    } else {
      return wrong;
    }
  }
  return capacity;
}

Result<int> worker(Session& session, const Args& args) {
  const Io& io = session.io();
  WorkerOptions options;
  for (const std::string& url : split(args.get("--url", variable_or(io, "MAESTRO_URL", "")), ','))
    if (!trim(url).empty()) options.urls.emplace_back(trim(url));
  if (options.urls.empty())
    return Error{Code::usage, "--url is missing: the servers to work for", {}};
  Result<std::string> token = worker_token(io, args);
  if (!token.ok()) return token.error();
  options.token = *token;
  options.name = args.get("--name");
  for (const std::string& label : split(args.get("--labels"), ','))
    if (!trim(label).empty()) options.labels.emplace_back(trim(label));
  Result<std::int64_t> slots = args.number("--slots", 0, 1, kSlotsMax);
  if (!slots.ok()) return slots.error();
  options.slots = static_cast<int>(*slots);
  Result<Resources> capacity = capacity_of(args);
  if (!capacity.ok()) return capacity.error();
  options.capacity = *capacity;
  options.data = args.get("--data", cache_folder(io) + "/worker");
  options.pass_env = args.all("--pass-env");
  Result<Millis> drain = args.duration("--drain-timeout", options.drain_timeout);
  if (!drain.ok()) return drain.error();
  options.drain_timeout = *drain;
  auto kubernetes = kubernetes_options(args);
  if (!kubernetes.ok()) return kubernetes.error();
  options.kubernetes = std::move(*kubernetes);
  return session.doors().worker(options, io);
}

}  // namespace

std::vector<Verb> server_verbs() {
  return {
      {"up",
       "Start a server with one worker, here",
       {},
       {{"--data", "", "DIR", "data folder ($XDG_DATA_HOME/maestro)"},
        {"--listen", "", "HOST:PORT", "where to listen (127.0.0.1:4000); port 0 takes a free one"},
        {"--worker-slots", "", "N", "jobs at the same time (one a processor); 0: no worker"},
        {"--drain-timeout", "", "TIME", "how long to wait for jobs when stopped (30s)"}},
       up,
       "Keeps everything in the data folder, writes DIR/admin.token (mode 0600), and prints one "
       "line "
       "when ready.\nSIGTERM or Ctrl-C lets running jobs end; a second one stops at once."},
      {"serve",
       "Start one replica of a cluster, on PostgreSQL",
       {},
       {{"--listen", "", "HOST:PORT", "where to listen (127.0.0.1:4000)"},
        {"--migrate", "", "", "apply migrations first"}},
       serve,
       "Needs POSTGRES_URL, JWT_SECRET and SESSION_SECRET in the environment; docs/cluster.md has "
       "the "
       "rest."},
      {"worker",
       "Work for a server, from this machine",
       {},
       {{"--labels", "", "A,B", "labels that jobs can ask for in runs_on"},
        {"--slots", "", "N", "jobs at the same time (one a processor; 16 in a cluster)"},
        {"--capacity", "", "cpu=N,memory=SIZE",
         "what jobs with `resources` may take together (what this machine has)"},
        {"--name", "", "NAME", "what to be called (the host's name)"},
        {"--data", "", "DIR", "folder for workspaces"},
        {"--pass-env", "", "NAME", "a variable of this process that jobs may see", true},
        {"--drain-timeout", "", "TIME", "how long to wait for jobs when stopped (30s)"},
        {"--executor",
         "",
         "HOW",
         "where jobs run: processes here (process), or pods (kubernetes)",
         false,
         {"process", "kubernetes"}},
        {"--namespace", "", "NAME", "of the Jobs (the kubeconfig's, or the pod's own)"},
        {"--kubeconfig", "", "FILE", "the way to the cluster ($KUBECONFIG, else the pod's own)"},
        {"--image", "", "IMAGE", "an image of Maestro: brings the program, runs plain jobs"},
        {"--cpu", "", "AMOUNT", "request of jobs that name none: 500m"},
        {"--memory", "", "AMOUNT", "request and limit of jobs that name none: 512Mi"},
        {"--start-patience", "", "TIME", "how long a pod may fail to start (2m)"}},
       worker,
       "--url names one server or several, with commas; --token-file a token of role worker.\n"
       "With --executor kubernetes each job is a Kubernetes Job; docs/kubernetes.md has the rest."},
  };
}

}  // namespace mc::cli
