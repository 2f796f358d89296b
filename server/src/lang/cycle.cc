#include "lang/check.h"

namespace mc::lang {
namespace {
constexpr int kCyclesMax = 20;
constexpr std::size_t kNamesShownMax = 12;

struct Step {
  JobIndex job;
  std::size_t next;
};

// The path goes from dependents to needs; people read it the other way round.
std::string describe(const std::vector<RawJob>& jobs, const std::vector<Step>& path,
                     JobIndex first) {
  std::string text = jobs[first].spec.key;
  std::size_t shown = 1;
  for (auto it = path.rbegin(); it != path.rend(); ++it) {
    if (it->job == first) return text + " → " + jobs[first].spec.key;
    if (++shown <= kNamesShownMax) text += " → " + jobs[it->job].spec.key;
    if (shown == kNamesShownMax + 1) text += " → …";
  }
  return text;
}
}  // namespace

void find_cycles(Reader& reader, const std::vector<RawJob>& jobs) {
  enum class Mark : std::uint8_t { fresh, open, done };
  std::vector<Mark> marks(jobs.size(), Mark::fresh);
  int found = 0;
  for (JobIndex start = 0; start < jobs.size(); ++start) {
    if (marks[start] != Mark::fresh) continue;
    std::vector<Step> path = {{start, 0}};
    marks[start] = Mark::open;
    while (!path.empty()) {
      Step& top = path.back();
      const auto& needs = jobs[top.job].spec.needs;
      if (top.next == needs.size()) {
        marks[top.job] = Mark::done;
        path.pop_back();
        continue;
      }
      const JobIndex need = needs[top.next++];
      if (marks[need] == Mark::fresh) {
        marks[need] = Mark::open;
        path.push_back({need, 0});
      } else if (marks[need] == Mark::open && found++ < kCyclesMax) {
        const YamlNode* at = jobs[path.back().job].node->find("needs");
        reader.error(at != nullptr ? *at : *jobs[need].node, "cycle",
                     "the jobs need each other in a circle: " + describe(jobs, path, need));
      }
    }
  }
}
}  // namespace mc::lang
