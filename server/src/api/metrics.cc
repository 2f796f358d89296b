#include "api/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/text.h"

namespace mc::api {
namespace {
void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void one(std::string& out, std::string_view name, std::string_view type, std::string_view help,
         double value) {
  head(out, name, type, help);
  fmt::format_to(std::back_inserter(out), "{} {}\n", name, value);
}

constexpr double kMillis = 1000;
}  // namespace

void Metrics::count(std::size_t route, int status, Millis took) {
  Route& row = routes_.at(std::min(route, routes_.size() - 1));
  const auto at = static_cast<std::size_t>(std::max(0, status - kStatusFirst));
  row.statuses.at(std::min(at, kStatuses - 1)).fetch_add(1, std::memory_order_relaxed);
  const std::int64_t ms = std::max<std::int64_t>(0, took.count());
  const auto* bound = std::lower_bound(kBoundsMs.begin(), kBoundsMs.end(), ms);
  row.buckets.at(static_cast<std::size_t>(bound - kBoundsMs.begin()))
      .fetch_add(1, std::memory_order_relaxed);
  row.total_ms.fetch_add(static_cast<std::uint64_t>(ms), std::memory_order_relaxed);
}

std::string Metrics::text(const std::vector<std::string>& labels) const {
  std::string out;
  head(out, "http_requests_total", "counter", "Requests answered, by route and status.");
  for (std::size_t i = 0; i < routes_.size() && i < labels.size(); ++i) {
    for (std::size_t s = 0; s < kStatuses; ++s) {
      const std::uint32_t n = routes_[i].statuses.at(s).load(std::memory_order_relaxed);
      if (n == 0) continue;
      fmt::format_to(std::back_inserter(out), "http_requests_total{{{},status=\"{}\"}} {}\n",
                     labels[i], s + kStatusFirst, n);
    }
  }
  constexpr std::string_view kName = "http_request_duration_seconds";
  head(out, kName, "histogram", "Time from the head of a request to its answer.");
  for (std::size_t i = 0; i < routes_.size() && i < labels.size(); ++i) {
    const Route& row = routes_[i];
    std::array<std::uint64_t, kBoundsMs.size() + 1> counts{};
    std::uint64_t sum = 0;
    for (std::size_t b = 0; b < counts.size(); ++b) {
      sum += row.buckets.at(b).load(std::memory_order_relaxed);
      counts.at(b) = sum;
    }
    if (sum == 0) continue;
    for (std::size_t b = 0; b < kBoundsMs.size(); ++b) {
      fmt::format_to(std::back_inserter(out), "{}_bucket{{{},le=\"{}\"}} {}\n", kName, labels[i],
                     static_cast<double>(kBoundsMs.at(b)) / kMillis, counts.at(b));
    }
    fmt::format_to(std::back_inserter(out), "{0}_bucket{{{1},le=\"+Inf\"}} {2}\n", kName, labels[i],
                   sum);
    fmt::format_to(std::back_inserter(out), "{0}_sum{{{1}}} {2}\n{0}_count{{{1}}} {3}\n", kName,
                   labels[i], static_cast<double>(row.total_ms.load()) / kMillis, sum);
  }
  return out;
}

std::string service_metrics(const conductor::Service::Health& health, const std::string& version) {
  const auto number = [](std::int64_t n) { return static_cast<double>(n); };
  std::string out;
  head(out, "maestro_build_info", "gauge", "Always 1; the labels say what runs.");
  fmt::format_to(std::back_inserter(out), "maestro_build_info{{version=\"{}\"}} 1\n", version);
  one(out, "maestro_ready", "gauge", "1 when the server takes work.", health.ready ? 1 : 0);
  one(out, "maestro_runs_open", "gauge", "Runs that are not final.", number(health.open_runs));
  one(out, "maestro_runs_stuck", "gauge", "Open runs that wait without a reason.",
      number(health.stuck_runs));
  one(out, "maestro_jobs_ready", "gauge", "Jobs that wait for a worker.",
      number(health.ready_jobs));
  one(out, "maestro_jobs_running", "gauge", "Jobs on workers.", number(health.running_jobs));
  one(out, "maestro_workers", "gauge", "Workers that are registered.", number(health.workers));
  one(out, "maestro_runs_started_total", "counter", "Runs started.", number(health.runs_started));
  one(out, "maestro_jobs_finished_total", "counter", "Jobs finished.",
      number(health.jobs_finished));
  one(out, "maestro_commits_total", "counter", "Transactions of the store.",
      number(health.commits));
  one(out, "maestro_events_total", "counter", "Events committed.", number(health.events));
  return out;
}

std::string process_metrics() {
  constexpr std::size_t kUserTicks = 11;  // fields of /proc/self/stat behind the program's name
  constexpr std::size_t kSystemTicks = 12;
  constexpr double kTicksASecond = 100;  // USER_HZ, a constant of the kernel's interface
  std::string out;
  std::ifstream stat("/proc/self/stat");
  const std::string line{std::istreambuf_iterator<char>(stat), {}};
  const std::size_t name_end = line.rfind(") ");
  if (name_end != std::string::npos) {
    const std::vector<std::string> fields = split(std::string_view(line).substr(name_end + 2), ' ');
    double ticks = 0;
    for (const std::size_t i : {kUserTicks, kSystemTicks}) {
      std::int64_t n = 0;
      if (i < fields.size())
        std::from_chars(fields[i].data(), fields[i].data() + fields[i].size(), n);
      ticks += static_cast<double>(n);
    }
    one(out, "process_cpu_seconds_total", "counter", "Processor time of this process.",
        ticks / kTicksASecond);
  }
  std::ifstream status("/proc/self/status");
  for (std::string row; std::getline(status, row);) {
    if (!row.starts_with("VmRSS:")) continue;
    const std::string_view digits = trim(std::string_view(row).substr(6));
    std::int64_t kib = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), kib);
    one(out, "process_resident_memory_bytes", "gauge", "Resident memory of this process.",
        static_cast<double>(kib) * 1024);
  }
  std::error_code error;
  std::filesystem::directory_iterator files("/proc/self/fd", error);
  if (!error) {
    one(out, "process_open_fds", "gauge", "Open files of this process.",
        static_cast<double>(std::distance(begin(files), end(files))));
  }
  return out;
}
}  // namespace mc::api
