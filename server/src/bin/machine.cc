#include "bin/machine.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <thread>

#include "base/file.h"
#include "base/text.h"

namespace mc::bin {
namespace {
constexpr std::size_t kFileMax = 4096;
constexpr const char* kGroups = "/sys/fs/cgroup";

std::int64_t number_in(std::string_view text) {
  std::int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  return read.ec == std::errc{} && value > 0 ? value : 0;
}

// A file of the process's own group, else of the group that its container sees as the root.
std::string group_file(const std::string& name) {
  std::string group;
  if (const auto own = read_file("/proc/self/cgroup", kFileMax); own.ok()) {
    if (const std::size_t at = own->find("0::"); at != std::string::npos)
      group = std::string(trim(own->substr(at + 3, own->find('\n', at) - at - 3)));
  }
  for (const std::string& folder : {kGroups + group, std::string(kGroups)}) {
    if (const auto text = read_file(folder + "/" + name, kFileMax); text.ok())
      return std::string(trim(*text));
  }
  return "";
}

// Thousandths of a processor of `cpu.max` ("150000 100000", "max 100000"); 0: no limit.
std::int64_t parse_cpu_max(std::string_view text) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return 0;
  const std::int64_t quota = number_in(text.substr(0, space));
  const std::int64_t period = number_in(text.substr(space + 1));
  return quota > 0 && period > 0 && quota < (std::int64_t{1} << 50) ? quota * kMilliACpu / period
                                                                    : 0;
}

std::int64_t least(std::int64_t all, std::int64_t limit) {
  return limit > 0 ? std::min(all, limit) : all;
}
}  // namespace

Resources machine_resources() {
  const std::int64_t cpus = std::max(1U, std::thread::hardware_concurrency());
  const std::int64_t memory =
      static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  return {.cpu_milli = least(cpus * kMilliACpu, parse_cpu_max(group_file("cpu.max"))),
          .memory = least(std::clamp<std::int64_t>(memory, 0, kMemoryMax),
                          number_in(group_file("memory.max")))};
}

}  // namespace mc::bin
