#include "model/resources.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"

namespace mc {

std::int64_t cpu_milli_of(double cpus) { return std::llround(cpus * kMilliACpu); }
double cpus_of(const Resources& resources) {
  return static_cast<double>(resources.cpu_milli) / kMilliACpu;
}

bool suffices(const Resources& all, const Resources& used, const Resources& wanted) {
  const auto fits = [](std::int64_t has, std::int64_t taken, std::int64_t wants) {
    return has == 0 || wants == 0 || taken + wants <= has;
  };
  return fits(all.cpu_milli, used.cpu_milli, wanted.cpu_milli) &&
         fits(all.memory, used.memory, wanted.memory);
}

std::string to_text(const Resources& resources) {
  std::string text;
  if (resources.cpu_milli > 0) {
    text =
        fmt::format("{:g} CPU{}", cpus_of(resources), resources.cpu_milli == kMilliACpu ? "" : "s");
  }
  if (resources.memory > 0) text += (text.empty() ? "" : " and ") + format_size(resources.memory);
  return text;
}

}  // namespace mc
