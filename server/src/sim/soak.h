// A server's week in minutes: the production core over a real SQLite file and real logs, under a
// virtual clock, with a steady load and old runs deleted; shows whether anything grows.
#pragma once

#include <cstdint>
#include <string>

namespace mc::sim {

struct SoakRequest {
  int days = 7;
  std::int64_t runs = 200'000;  // spread evenly over the days
  std::string folder;           // for the store and the logs; must be empty
};

// Prints a row a virtual day. Returns false when something went wrong, or a figure at the end is
// more than a tenth above what it was in the middle, when what is kept had its steady amount.
bool soak(const SoakRequest& request);

}  // namespace mc::sim
