#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>

#include "base/text.h"
#include "base/time.h"
#include "bin/doctor.h"

namespace mc::bin {
namespace {

using cli::DoctorLine;

constexpr rlim_t kFilesWanted = 4096;
constexpr rlim_t kProcessesWanted = 512;
// The year this version was made in: a clock before it is wrong.
constexpr const char* kEarliest = "2026-01-01T00:00:00Z";

std::string find_program(const std::string& name) {
  const char* path = ::getenv("PATH");
  for (const std::string& folder : split(path == nullptr ? "/usr/bin:/bin" : path, ':')) {
    const std::string file = folder + "/" + name;
    if (!folder.empty() && ::access(file.c_str(), X_OK) == 0) return file;
  }
  return "";
}

DoctorLine program(const std::string& name, const std::string& level, const std::string& mend) {
  const std::string found = find_program(name);
  if (!found.empty()) return {"ok", name, found, ""};
  return {level, name, "not found in PATH", mend};
}

DoctorLine containers() {
  for (const char* name : {"podman", "docker"}) {
    const std::string found = find_program(name);
    if (!found.empty()) return {"ok", "containers", found, ""};
  }
  return {"warn", "containers", "neither podman nor docker",
          "install podman to run jobs that ask for a container"};
}

DoctorLine limit(const char* what, __rlimit_resource resource, rlim_t wanted,
                 const std::string& mend) {
  rlimit have{};
  if (::getrlimit(resource, &have) != 0) return {"warn", what, "unknown", ""};
  const std::string text =
      have.rlim_cur == RLIM_INFINITY ? "no limit" : std::to_string(have.rlim_cur);
  if (have.rlim_cur == RLIM_INFINITY || have.rlim_cur >= wanted) return {"ok", what, text, ""};
  return {"warn", what, text + ", better " + std::to_string(wanted), mend};
}

DoctorLine clock() {
  const Instant now = system_clock().now();
  if (now < *parse_rfc3339(kEarliest))
    return {"fail", "clock", to_rfc3339(now),
            "set the clock (timedatectl set-ntp true): leases and schedules need the time"};
  return {"ok", "clock", to_rfc3339(now), ""};
}

DoctorLine time_zones() {
  std::error_code ignored;
  if (std::filesystem::exists("/usr/share/zoneinfo/Europe/Berlin", ignored))
    return {"ok", "time zones", "/usr/share/zoneinfo", ""};
  return {"warn", "time zones", "not found", "install tzdata: schedules in a time zone need it"};
}

}  // namespace

std::vector<DoctorLine> check_machine() {
  return {program("bash", "fail", "install bash: steps run in it"),
          program("git", "warn", "install git: `checkout` on a server needs it"),
          program("bwrap", "warn", "install bubblewrap to run jobs with sandbox: true"),
          containers(),
          clock(),
          time_zones(),
          limit("open files", RLIMIT_NOFILE, kFilesWanted, "ulimit -n 65536, or LimitNOFILE="),
          limit("processes", RLIMIT_NPROC, kProcessesWanted, "ulimit -u, or TasksMax=")};
}

}  // namespace mc::bin
