#include "api/query.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace mc::api {
namespace {
constexpr std::array<std::string_view, 10> kKeys = {"status",   "outcome", "workflow", "actor",
                                                    "ref",      "commit",  "trigger",  "created",
                                                    "rerun_of", "run_key"};
constexpr std::string_view kLabelPrefix = "label.";
constexpr std::array<std::string_view, 5> kOutcomes = {"queued", "running", "succeeded", "failed",
                                                       "cancelled"};
#define MC_NAME(name) #name,
constexpr std::array kStatusNames = {MC_RUN_STATUSES(MC_NAME)};
constexpr std::array kTriggerNames = {MC_TRIGGER_KINDS(MC_NAME)};
#undef MC_NAME

struct Term {
  std::string key;
  std::string value;
  std::size_t at = 0;        // offset of the key
  std::size_t value_at = 0;  // offset of the value
};

Error wrong(std::size_t offset, std::string message, std::string hint = {}) {
  Error error{Code::invalid_query, "column " + std::to_string(offset + 1) + ": " + message, {}};
  if (!hint.empty()) error.message += "; " + hint;
  error.problems.push_back(
      {1, static_cast<int>(offset) + 1, "invalid_query", std::move(message), std::move(hint)});
  return error;
}

template <class Names>
std::string did_you_mean(std::string_view word, const Names& names) {
  std::vector<std::string> candidates(names.begin(), names.end());
  const auto near = nearest(word, candidates);
  if (near) return "did you mean `" + *near + "`?";
  return "one of: " + join(candidates, ", ");
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  // nullopt at the end.
  Result<std::optional<Term>> next() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    if (at_ == text_.size()) return std::optional<Term>{};
    Term term;
    term.at = at_;
    const std::size_t end = std::min(text_.find(' ', at_), text_.size());
    const std::size_t colon = text_.find(':', at_);
    if (colon >= end) {
      return wrong(at_, "a term is KEY:VALUE",
                   "did you mean `workflow:" + std::string(text_.substr(at_, end - at_)) + "`?");
    }
    term.key = text_.substr(at_, colon - at_);
    at_ = colon + 1;
    term.value_at = at_;
    Result<std::string> value = read_value();
    if (!value) return value.error();
    term.value = std::move(*value);
    if (term.value.empty()) return wrong(term.value_at, "the value is missing");
    return std::optional<Term>(std::move(term));
  }

 private:
  Result<std::string> read_value() {
    std::string value;
    // Comparison signs may stand before a quoted value.
    while (at_ < text_.size() && (text_[at_] == '<' || text_[at_] == '>' || text_[at_] == '='))
      value.push_back(text_[at_++]);
    if (at_ == text_.size() || text_[at_] != '"') {
      while (at_ < text_.size() && text_[at_] != ' ') value.push_back(text_[at_++]);
      return value;
    }
    const std::size_t quote = at_++;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      value.push_back(text_[at_++]);
    }
    if (at_ == text_.size()) return wrong(quote, "this quote is not closed");
    ++at_;
    if (at_ < text_.size() && text_[at_] != ' ') {
      return wrong(at_, "a space is wanted after a quoted value");
    }
    return value;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

// 2026-01-31 (its midnight, UTC) or RFC 3339.
std::optional<Instant> read_time(const std::string& text) {
  constexpr std::size_t kDateSize = 10;
  if (text.size() == kDateSize) return parse_rfc3339(text + "T00:00:00Z");
  return parse_rfc3339(text);
}

class Builder {
 public:
  Status add(const Term& term) {
    if (term.key == "status") return add_status(term);
    if (term.key == "outcome") return add_outcome(term);
    if (term.key == "trigger") return add_trigger(term);
    if (term.key == "created") return add_created(term);
    if (term.key == "rerun_of") return add_rerun_of(term);
    if (term.key == "workflow") return add_text(term, filter_.query.workflow);
    if (term.key == "actor") return add_text(term, filter_.query.actor);
    if (term.key == "ref") return add_text(term, filter_.query.ref);
    if (term.key == "commit") return add_text(term, filter_.query.commit);
    if (term.key == "run_key") return add_text(term, filter_.query.run_key);
    if (term.key.starts_with(kLabelPrefix) && term.key.size() > kLabelPrefix.size()) {
      filter_.query.labels.emplace_back(term.key.substr(kLabelPrefix.size()), term.value);
      return {};
    }
    return wrong(term.at, "the key `" + term.key + "` is not known",
                 term.key == "label" ? "write label.NAME:VALUE" : did_you_mean(term.key, kKeys));
  }

  RunFilter finish() {
    if (has_status_ && has_outcome_) {
      std::erase_if(statuses_, [this](RunStatus status) {
        return std::find(outcomes_.begin(), outcomes_.end(), status) == outcomes_.end();
      });
      filter_.query.statuses = statuses_;
    } else {
      filter_.query.statuses = has_status_ ? statuses_ : outcomes_;
    }
    if ((has_status_ || has_outcome_) && filter_.query.statuses.empty()) filter_.nothing = true;
    return std::move(filter_);
  }

 private:
  Status add_text(const Term& term, std::string& into) {
    if (!into.empty() && into != term.value) filter_.nothing = true;
    into = term.value;
    return {};
  }
  Status add_status(const Term& term) {
    const auto status = from_name<RunStatus>(term.value);
    if (!status) {
      return wrong(term.value_at, "`" + term.value + "` is no status of a run",
                   did_you_mean(term.value, kStatusNames));
    }
    has_status_ = true;
    statuses_.push_back(*status);
    return {};
  }
  Status add_outcome(const Term& term) {
    const std::string name = term.value == "canceled" ? "cancelled" : term.value;
    if (std::find(kOutcomes.begin(), kOutcomes.end(), name) == kOutcomes.end()) {
      return wrong(term.value_at, "`" + term.value + "` is no outcome",
                   did_you_mean(term.value, kOutcomes));
    }
    has_outcome_ = true;
    for (const char* each : kStatusNames) {
      const auto status = from_name<RunStatus>(each);
      if (status && outcome_name(*status) == name) outcomes_.push_back(*status);
    }
    return {};
  }
  Status add_trigger(const Term& term) {
    const auto trigger = from_name<TriggerKind>(term.value);
    if (!trigger) {
      return wrong(term.value_at, "`" + term.value + "` is no trigger",
                   did_you_mean(term.value, kTriggerNames));
    }
    if (filter_.query.trigger && *filter_.query.trigger != *trigger) filter_.nothing = true;
    filter_.query.trigger = trigger;
    return {};
  }
  Status add_rerun_of(const Term& term) {
    const auto id = parse_uuid(term.value);
    if (!id) return wrong(term.value_at, "`" + term.value + "` is not the id of a run");
    if (filter_.query.rerun_of && filter_.query.rerun_of != *id) filter_.nothing = true;
    filter_.query.rerun_of = *id;
    return {};
  }
  Status add_created(const Term& term) {
    const bool after = term.value.front() == '>';
    const bool before = term.value.front() == '<';
    const bool inclusive = term.value.size() > 1 && term.value[1] == '=';
    const std::size_t signs = inclusive ? 2 : 1;
    const auto at = after || before ? read_time(term.value.substr(signs)) : std::nullopt;
    if (!at) {
      return wrong(term.value_at, "a time is wanted",
                   "write created:>2026-01-31 or created:<=2026-01-31T12:00:00Z");
    }
    // The store's bounds are exclusive.
    db::RunQuery& query = filter_.query;
    if (after) {
      query.created_after = std::max(query.created_after, inclusive ? *at - Millis(1) : *at);
    } else {
      const Instant bound = inclusive ? *at + Millis(1) : *at;
      query.created_before = query.created_before ? std::min(query.created_before, bound) : bound;
    }
    return {};
  }

  RunFilter filter_;
  bool has_status_ = false;
  bool has_outcome_ = false;
  std::vector<RunStatus> statuses_;
  std::vector<RunStatus> outcomes_;
};
}  // namespace

Result<RunFilter> parse_run_query(std::string_view text) {
  if (text.size() > kQueryBytesMax) return wrong(kQueryBytesMax, "the query is too long");
  Reader reader(text);
  Builder builder;
  for (std::size_t count = 0;; ++count) {
    const Result<std::optional<Term>> term = reader.next();
    if (!term) return term.error();
    if (!*term) return builder.finish();
    if (count == kQueryTermsMax) return wrong((*term)->at, "there are too many terms");
    if (const Status added = builder.add(**term); !added) return added.error();
  }
}
}  // namespace mc::api
