#include "lang/check.h"

namespace mc::lang {

void find_cycle(Reader& reader, const std::vector<RawJob>& jobs) {
  enum class Mark : std::uint8_t { fresh, open, done };
  std::vector<Mark> marks(jobs.size(), Mark::fresh);
  struct Step {
    JobIndex job;
    std::size_t next;
  };
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
      } else if (marks[need] == Mark::open) {
        // The path goes from dependents to needs; people read it the other way round.
        std::string text = jobs[need].spec.key;
        for (auto it = path.rbegin(); it != path.rend(); ++it) {
          text += " → " + jobs[it->job].spec.key;
          if (it->job == need) break;
        }
        const YamlNode* at = jobs[path.back().job].node->find("needs");
        reader.error(at != nullptr ? *at : *jobs[need].node, "cycle",
                     "the jobs need each other in a circle: " + text);
        return;
      }
    }
  }
}
}  // namespace mc::lang
