#include "bench/figure.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/json.h"

namespace mc::bench {

double quantile_of(std::vector<double> values, double share) {
  MC_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size()));
  return values[std::min(at, values.size() - 1)];
}

double median_of(std::vector<double> values) { return quantile_of(std::move(values), 0.5); }

Figure figure_of(std::string bench, std::string metric, std::string unit,
                 const std::vector<double>& values, double reference) {
  Figure figure{std::move(bench), std::move(metric), std::move(unit)};
  figure.value = median_of(values);
  figure.min = *std::min_element(values.begin(), values.end());
  figure.max = *std::max_element(values.begin(), values.end());
  figure.runs = static_cast<int>(values.size());
  figure.reference = reference;
  return figure;
}

std::string to_json_line(const Figure& figure, const std::string& doubt) {
  JsonWriter out;
  out.open('{').field("bench", figure.bench).field("metric", figure.metric);
  out.field("value", figure.value).field("unit", figure.unit);
  if (figure.reference > 0)
    out.field("reference", figure.reference).field("ratio", figure.value / figure.reference);
  out.field("runs", figure.runs).field("min", figure.min).field("max", figure.max);
  if (!doubt.empty()) out.field("durable", false).field("doubt", doubt);
  return out.close('}').take();
}

std::string to_text_line(const Figure& figure) {
  std::string line = fmt::format("{:4} {:34} {:>12.2f} {:8}", figure.bench, figure.metric,
                                 figure.value, figure.unit);
  if (figure.reference > 0) {
    line += fmt::format(" reference {:>10.2f}  ratio {:.3f}", figure.reference,
                        figure.value / figure.reference);
  }
  return line;
}

}  // namespace mc::bench
