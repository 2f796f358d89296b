// Tables for people: as wide as their contents, cut to the terminal.
#pragma once

#include <string>
#include <vector>

#include "cli/paint.h"

namespace mc::cli {

struct Cell {
  std::string text;
  Tone tone = Tone::plain;
};

struct Table {
  std::vector<std::string> heads;       // empty: no head line
  std::vector<std::vector<Cell>> rows;  // a shorter row leaves its last columns empty
};

// Lines end in a newline, without spaces before it. `width` 0: nothing is cut; else the widest
// column gives way first.
std::string render_table(const Table& table, const Paint& paint, std::size_t width);

}  // namespace mc::cli
