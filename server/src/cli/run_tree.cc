#include "cli/run_tree.h"

#include <algorithm>

#include "base/text.h"

namespace mc::cli {
namespace {

Instant instant_or_none(const Value& thing, std::string_view field) {
  return parse_rfc3339(thing.string_or(field, "")).value_or(Instant{});
}

bool is_over(std::string_view status) {
  for (const char* one :
       {"succeeded", "failed", "cancelled", "timed_out", "denied", "skipped", "reused"})
    if (status == one) return true;
  return false;
}

// What a job looks like, from the events that mention it.
std::string_view status_after(std::string_view type, const Value& data) {
  if (type == "job.ready") return "ready";
  if (type == "job.started") return "running";
  if (type == "job.waiting" || type == "approval.requested") return "waiting";
  if (type == "job.cancelling") return "cancelling";
  if (type == "job.retrying") return "retrying";
  if (type == "job.finished") {
    const Value* status = data.find("status");
    return status != nullptr && status->is_string() ? std::string_view(status->as_string())
                                                    : "succeeded";
  }
  return "";
}

std::string_view run_status_after(std::string_view type, const Value& data) {
  if (type == "run.queued") return "queued";
  if (type == "run.waiting") return "waiting";
  if (type == "run.started") return "running";
  if (type == "run.cancelling") return "cancelling";
  if (type == "run.finished") {
    const Value* status = data.find("status");
    return status != nullptr && status->is_string() ? std::string_view(status->as_string())
                                                    : "succeeded";
  }
  return "";
}

std::string took(const TreeJob& job, Instant now) {
  if (!job.started_at) return "";
  return format_duration((job.finished_at ? job.finished_at : now) - job.started_at);
}

std::string without_none(std::string reason) { return reason == "none" ? "" : reason; }

}  // namespace

void RunTree::load(const Value& run, const Value& jobs) {
  const std::string workflow = run.string_or("workflow", "");
  title_ = "run #" + std::to_string(run.int_or("number", 0));
  if (!workflow.empty()) title_ += " " + printable(workflow);
  status_ = run.string_or("status", "queued");
  reason_ = without_none(run.string_or("reason", ""));
  created_at_ = instant_or_none(run, "created_at");
  finished_at_ = instant_or_none(run, "finished_at");
  jobs_.clear();
  places_.clear();
  const Value* items = jobs.find("items");
  if (items == nullptr || !items->is_list()) return;
  for (const Value& item : items->as_list()) {
    TreeJob job{.key = item.string_or("key", ""),
                .status = item.string_or("status", "pending"),
                .reason = without_none(item.string_or("reason", "")),
                .message = item.string_or("message", ""),
                .needs = {},
                .attempt = static_cast<int>(item.int_or("attempt", 0)),
                .tolerated = item.bool_or("tolerated", false),
                .started_at = instant_or_none(item, "started_at"),
                .finished_at = instant_or_none(item, "finished_at")};
    if (const Value* needs = item.find("needs"); needs != nullptr && needs->is_list())
      for (const Value& need : needs->as_list())
        if (need.is_string()) job.needs.push_back(need.as_string());
    places_[job.key] = jobs_.size();
    jobs_.push_back(std::move(job));
  }
  place_jobs();
}

const TreeJob* RunTree::job(const std::string& key) const {
  const auto found = places_.find(key);
  return found == places_.end() ? nullptr : &jobs_[found->second];
}

TreeJob* RunTree::find(const std::string& key) {
  const auto found = places_.find(key);
  return found == places_.end() ? nullptr : &jobs_[found->second];
}

bool RunTree::apply(const Value& event) {
  static const Value kNothing{Object{}};
  last_seq_ = std::max(last_seq_, event.int_or("seq", 0));
  const std::string type = event.string_or("type", "");
  const Value* found = event.find("data");
  const Value& data = found == nullptr ? kNothing : *found;
  const Instant time = instant_or_none(event, "time");
  if (const std::string_view status = run_status_after(type, data); !status.empty()) {
    status_ = status;
    reason_ = without_none(data.string_or("reason", ""));
    if (type == "run.finished") finished_at_ = time;
    return true;
  }
  if (type == "job.expanded" || type == "run.phase_started") return false;
  const std::string_view status = status_after(type, data);
  if (status.empty()) return true;
  TreeJob* job = find(data.string_or("job", ""));
  if (job == nullptr) return false;
  job->status = status;
  job->reason = without_none(data.string_or("reason", ""));
  job->message = data.string_or("message", "");
  job->attempt = static_cast<int>(data.int_or("attempt", job->attempt));
  job->tolerated = data.bool_or("tolerated", false);
  if (type == "job.started") {
    job->started_at = time;
    job->finished_at = {};
  }
  if (type == "job.finished") job->finished_at = time;
  return true;
}

std::vector<std::size_t> RunTree::places_of(const std::string& need) const {
  std::vector<std::size_t> found;
  // A matrix job is needed by its name and stands there cell by cell.
  for (auto at = places_.lower_bound(need); at != places_.end(); ++at) {
    if (at->first != need && !at->first.starts_with(need + "[")) {
      if (!at->first.starts_with(need)) break;
      continue;
    }
    found.push_back(at->second);
  }
  return found;
}

// Kahn's order: a job's depth is known when those of all its needs are. Jobs of a cycle, which no
// valid definition has, stay at 0.
void RunTree::place_jobs() {
  std::vector<std::vector<std::size_t>> dependents(jobs_.size());
  std::vector<std::size_t> missing(jobs_.size(), 0);
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    for (const std::string& need : jobs_[i].needs) {
      for (const std::size_t place : places_of(need)) {
        dependents[place].push_back(i);
        ++missing[i];
      }
    }
  }
  std::vector<std::size_t> open;
  for (std::size_t i = 0; i < jobs_.size(); ++i)
    if (missing[i] == 0) open.push_back(i);
  while (!open.empty()) {
    const std::size_t at = open.back();
    open.pop_back();
    for (const std::size_t next : dependents[at]) {
      jobs_[next].depth = std::max(jobs_[next].depth, jobs_[at].depth + 1);
      if (--missing[next] == 0) open.push_back(next);
    }
  }
}

std::string RunTree::head(Instant now, const Paint& paint) const {
  std::map<std::string, int> counts;
  for (const TreeJob& job : jobs_) ++counts[job.status];
  std::string text = paint(tone_of(status_), std::string(sign_of(status_))) + " " +
                     paint(Tone::bold, title_) + " " + paint(tone_of(status_), status_);
  if (!reason_.empty()) text += " (" + reason_ + ")";
  if (created_at_)
    text += "  " + format_duration((finished_at_ ? finished_at_ : now) - created_at_);
  int over = 0;
  for (const auto& [status, count] : counts)
    if (is_over(status)) over += count;
  return text + "  " + std::to_string(over) + "/" + std::to_string(jobs_.size()) + " jobs";
}

std::string RunTree::line(const TreeJob& job, Instant now, std::size_t columns,
                          const Paint& paint) const {
  std::string note = job.reason;
  if (job.status == "failed" || job.status == "timed_out" || job.status == "denied")
    note = job.message;
  std::string tail = job.status == "running" || is_over(job.status) ? took(job, now) : "";
  if (job.attempt > 1) tail += (tail.empty() ? "try " : " try ") + std::to_string(job.attempt);
  if (!note.empty()) tail += (tail.empty() ? "" : "  ") + printable(note);
  const std::string margin(static_cast<std::size_t>(std::min(job.depth, 12) + 1) * 2, ' ');
  const std::size_t room = columns > margin.size() + 2 ? columns - margin.size() - 2 : 1;
  const std::string name = cut(printable(job.key), room);
  const bool spared = job.tolerated && is_over(job.status) && job.status != "succeeded";
  std::string text = margin +
                     (spared ? paint(Tone::warning, kToleratedSign)
                             : paint(tone_of(job.status), std::string(sign_of(job.status)))) +
                     " ";
  text += job.status == "pending" || job.status == "skipped" ? paint(Tone::dim, name) : name;
  if (!tail.empty() && display_width(name) + 4 < room)
    text += "  " + paint(Tone::dim, cut(tail, room - display_width(name) - 2));
  return text;
}

std::vector<std::string> RunTree::lines(Instant now, std::size_t columns, std::size_t rows,
                                        const Paint& paint) const {
  std::vector<std::string> text = {head(now, paint)};
  std::vector<std::size_t> order(jobs_.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
    return std::pair(jobs_[a].depth, a) < std::pair(jobs_[b].depth, b);
  });
  // What folds first when the room is short: good endings, then what has not begun.
  const std::vector<std::string> folding = {"succeeded", "reused", "skipped",
                                            "pending",   "ready",  "cancelled"};
  std::map<std::string, int> folded;
  std::size_t shown = jobs_.size();
  for (const std::string& status : folding) {
    if (1 + shown + folded.size() <= rows) break;
    const auto count = std::count_if(
        jobs_.begin(), jobs_.end(), [&status](const TreeJob& job) { return job.status == status; });
    if (count == 0) continue;
    folded[status] = static_cast<int>(count);
    shown -= static_cast<std::size_t>(count);
  }
  for (const std::string& status : folding) {
    if (!folded.contains(status)) continue;
    text.push_back("  " + paint(tone_of(status), std::string(sign_of(status))) + " " +
                   paint(Tone::dim, std::to_string(folded[status]) + " " + status));
  }
  for (const std::size_t i : order)
    if (!folded.contains(jobs_[i].status)) text.push_back(line(jobs_[i], now, columns, paint));
  if (text.size() > rows && rows > 1) {
    const std::size_t hidden = text.size() - rows + 1;
    text.resize(rows - 1);
    text.push_back(paint(Tone::dim, "  … " + std::to_string(hidden) + " more"));
  }
  return text;
}

std::string change_line(const RunTree& tree, const Value& event, const Paint& paint) {
  const std::string type = event.string_or("type", "");
  const Value* found = event.find("data");
  if (found == nullptr) return "";
  const std::string_view run = run_status_after(type, *found);
  const std::string_view job = run.empty() ? status_after(type, *found) : "";
  const std::string status(run.empty() ? job : run);
  if (status.empty() || status == "ready" || type == "approval.requested") return "";
  const bool spared = found->bool_or("tolerated", false);
  const Tone tone = spared ? Tone::warning : tone_of(status);
  std::string text = paint(tone, std::string(spared ? kToleratedSign : sign_of(status))) + " " +
                     (run.empty() ? printable(found->string_or("job", "")) : std::string("run")) +
                     " " + paint(tone, status) + (spared ? " (allowed)" : "");
  const TreeJob* known = run.empty() ? tree.job(found->string_or("job", "")) : nullptr;
  if (type == "job.started" && found->int_or("attempt", 1) > 1)
    text += " (attempt " + std::to_string(found->int_or("attempt", 1)) + ")";
  if (type == "job.finished" && known != nullptr && known->started_at)
    text += " in " + format_duration(known->finished_at - known->started_at);
  const std::string reason = without_none(found->string_or("reason", ""));
  if (!reason.empty()) text += " (" + reason + ")";
  const std::string message = found->string_or("message", "");
  if (!message.empty()) text += ": " + printable(message);
  return text;
}

}  // namespace mc::cli
