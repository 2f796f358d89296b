#include "cli/table.h"

#include <algorithm>
#include <numeric>

namespace mc::cli {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kNarrowest = 8;

std::vector<std::size_t> natural_widths(const Table& table) {
  std::vector<std::size_t> widths;
  const auto note = [&widths](std::size_t column, std::size_t width) {
    if (column >= widths.size()) widths.resize(column + 1, 0);
    widths[column] = std::max(widths[column], width);
  };
  for (std::size_t i = 0; i < table.heads.size(); ++i) note(i, display_width(table.heads[i]));
  for (const auto& row : table.rows)
    for (std::size_t i = 0; i < row.size(); ++i) note(i, display_width(row[i].text));
  return widths;
}

void shrink(std::vector<std::size_t>& widths, std::size_t width) {
  if (width == 0 || widths.empty()) return;
  std::size_t total = std::accumulate(widths.begin(), widths.end(), (widths.size() - 1) * kGap);
  while (total > width) {
    const auto widest = std::max_element(widths.begin(), widths.end());
    if (*widest <= kNarrowest) return;
    const std::size_t less = std::min(total - width, *widest - kNarrowest);
    *widest -= less;
    total -= less;
  }
}

std::string trimmed(std::string line) {
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line + "\n";
}

}  // namespace

std::string render_table(const Table& table, const Paint& paint, std::size_t width) {
  std::vector<std::size_t> widths = natural_widths(table);
  shrink(widths, width);
  std::string text;
  if (!table.heads.empty()) {
    std::string line;
    for (std::size_t i = 0; i < table.heads.size(); ++i)
      line += pad(cut(table.heads[i], widths[i]), widths[i] + kGap);
    line = trimmed(line);
    line.pop_back();
    text += paint(Tone::bold, line) + "\n";
  }
  for (const auto& row : table.rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string shown = cut(row[i].text, widths[i]);
      const std::size_t fill = i + 1 < row.size() ? widths[i] + kGap - display_width(shown) : 0;
      line += paint(row[i].tone, shown) + std::string(fill, ' ');
    }
    text += trimmed(line);
  }
  return text;
}

}  // namespace mc::cli
