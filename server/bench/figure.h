// One measured value, beside what the machine can physically do.
#pragma once

#include <string>
#include <vector>

namespace mc::bench {

struct Figure {
  std::string bench;
  std::string metric;
  std::string unit;
  double value = 0;  // the median of the runs
  double min = 0, max = 0;
  int runs = 1;
  double reference = 0;  // in the same unit; 0: none
};

double median_of(std::vector<double> values);
// `share` of the values are at or below the result: 0.99 for p99. Requires: values.
double quantile_of(std::vector<double> values, double share);
Figure figure_of(std::string bench, std::string metric, std::string unit,
                 const std::vector<double>& values, double reference = 0);

// {bench, metric, value, unit, reference?, ratio?, runs, min, max} and, when `doubt` says why the
// disk keeps no promise, {durable: false, doubt}.
std::string to_json_line(const Figure& figure, const std::string& doubt);
std::string to_text_line(const Figure& figure);

}  // namespace mc::bench
