// Polls of workers: which shard is asked for whom, and who waits.
//
// A poll that comes asks shard after shard, never two at once, until it has as many tasks as it may
// have. A shard that is known to have nothing for workers of that kind is passed over; one shard is
// asked in any case, since only shards know tokens.
//
// Where several may have something, each has said, in a call made at most offers_good ago, what it
// would give workers of that sort next, or is asked that first (a look: a poll that wants no task).
// The job of the highest priority goes first; within one priority projects share by their weights,
// as within one shard (base/fair_share.h, conductor/dispatcher.h): what runs is counted by the
// shards, turns by each of these. A shard before which others were given kPassedOver jobs for each
// shard that has some is next whatever it has. Who may have many tasks is given them in pieces, as
// large as the turns make them, and a shard stops where another has a job of a higher priority. A
// shard that takes longer than looks_max to say what it has is not waited for: it comes last.
//
// A poll that has nothing waits. Each keep_alive it asks every shard again, which also says there
// that the worker is here. When a shard says that it has jobs (`ready`), a round begins there: the
// polls that wait are tried in the order they came, one at a time, and one of each kind is enough
// to know that there is nothing for its kind. Jobs of a shard led here that may be left after the
// round are told to other replicas.
//
// What is known: a note for each kind and shard, "nothing was left when the shard's news had this
// number". News of the shard (ready, shards_changed) make it worthless, and so does age, for polls
// that come. Every poll that waits has such a note at each shard, or a round is open there, or the
// shard is away and is asked with the next keep_alive.
//
// Nothing is granted to a poll whose caller is gone: that is looked at before each call, and now
// and then while it waits. Shards count its worker as one that waits; they are told that it does
// not any more (a farewell), so that its name is free for another. Also at the end.
//
// A worker that drains is given nothing, which says nothing of others: from the answer that says so
// on its poll is of a kind of its own.
//
// Threads: any. Never calls out under its lock, never runs deeper for calls that end at once. News
// are told by threads that are not to be held up: what follows from them is done by who ticks.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/time.h"
#include "cluster/shards.h"
#include "wire/offer.h"

namespace mc::cluster {

struct PollOptions {
  Millis keep_alive{5'000};    // waiting polls ask every shard again
  Millis parks_beyond{2'000};  // a shard is told that the worker waits for keep_alive and this
  Millis tell_every{20};       // of one shard: others are told at most so often
  Millis round_max{100};       // polls that are asked elsewhere are not waited for longer
  std::size_t polls_max = 20'000;
  int keeping_max = 256;   // polls that are kept alive at the same time, and farewells
  Millis look_every{250};  // whether callers of polls that wait are still there
  Millis offers_good{50};  // what a shard said that it would give next counts for so long
  Millis looks_max{50};    // a poll looks around for no longer
};

// What came of a poll: tasks (their JSON, as the shards gave it), or what a shard refused it with.
struct PollEnd {
  std::vector<std::string> tasks;
  std::optional<http::Response> refusal;
};

struct PollWish {
  http::Request head;  // what each call carries: target, headers, id; its `gone`; no body
  std::string worker_id;
  // Workers of one kind may take the same jobs: what one is not given none is given.
  std::string kind;
  std::string alike;  // workers that may take the same jobs when they are idle
  // Shards whose tasks it has just ended: they may have something whatever is known. By shard, or
  // empty.
  std::vector<bool> ended = {};
  // What its tasks take is counted: another shard may give it something only once the worker has
  // said (`holds`) what it has of this one.
  bool is_counted = false;
  bool drains = false;  // as far as is known
  std::string members;  // of the body, as they are passed on: `"worker_id":"…","holds":[…]`
  int max = 1;          // at least 1
  Millis wait{0};
  std::function<void(PollEnd)> done;  // once; any thread; must not block
};

class Polls : public std::enable_shared_from_this<Polls> {
 public:
  struct Outside {
    Shards& shards;
    Clock& clock;
    std::function<void(int shard)> tell_ready;
    // A shard says of a worker that it drains, or does not, other than PollWish::drains said.
    std::function<void(const std::string& worker_id, bool drains)> note_draining;
    // Wants tick() at that moment, or earlier than it was told before. Must not block.
    std::function<void(Instant)> wake_at;
  };
  // All of `outside` stays valid until stop() has returned. Requires: there is a shard.
  static std::shared_ptr<Polls> make(Outside outside, PollOptions options);

  // False: there are too many, or stop() was called; `done` is not called then.
  bool add(PollWish wish);
  // A poll that comes after something else, so that rounds wait for it: `go` lets it begin, `drop`
  // forgets it without a call of `done`. 0: as add's false.
  std::uint64_t announce(PollWish wish);
  void go(std::uint64_t ticket);
  void drop(std::uint64_t ticket);
  // The worker was given tasks by other means: its polls end, so that it says what it has now.
  void end_polls_of(const std::string& worker_id);
  // The worker's polls are of that kind from now on.
  void set_kind(const std::string& worker_id, const std::string& kind);

  // Whether no other shard is known to have anything for workers of that kind: then a completion
  // may ask that shard for new tasks itself, at the cost of one call and one commit.
  bool is_only(const std::string& kind, int shard);

  // That shard has jobs that are ready. `here`: its conductor says so, in this process. Calls no
  // shard: the next tick does, which is wanted at once.
  void ready(int shard, bool here);
  // Leaders moved: whatever was known may be wrong. Calls no shard either.
  void shards_changed();
  // Requires: one thread at a time; not called from within a call of a shard.
  void tick();
  // Ends what waits, with no tasks; polls that are asked just now end with their answer. Waits for
  // calls that are being made. Requires: not called from within one of them. Of farewells as many
  // are said as may be under way at once.
  void stop();

  std::size_t size() const;

 private:
  struct Note {
    std::uint64_t news = 0;  // 0: nothing is known
    Instant at;
  };
  // What a shard said that it would give next.
  struct Offered {
    wire::Offer offer;
    Instant at;  // when it was asked; 0: it has not said
  };
  // A call of a shard for a poll.
  struct Ask {
    int shard = 0;
    int max = 0;                      // tasks; 0: a look
    std::optional<int> priority_min;  // of the tasks: another shard has one of this
    std::optional<wire::Offer> charged;
  };
  struct Kind {
    std::vector<Note> notes;       // by shard
    std::set<std::uint64_t> idle;  // waiting, in the order they came
    std::size_t polls = 0;         // those that are asked just now, too
    Instant used;
  };
  using KindEntry = std::pair<const std::string, Kind>;
  enum class Stage : std::uint8_t { announced, first, keeping, waiting };
  struct Poll {
    PollWish wish;
    KindEntry* kind = nullptr;
    Stage stage = Stage::first;
    std::vector<std::string> tasks;
    Instant until;
    Instant beat;                     // when it is kept alive next
    std::vector<bool> unasked;        // shards that this pass asks yet
    std::vector<bool> looked;         // shards that said in this pass what comes next
    Instant began;                    // the pass
    int at_first = 0;                 // the shard that is first where turns are equal
    int shard = 0;                    // that is asked, or was last
    int asked_for = 0;                // 0: it is a look
    std::optional<int> priority_min;  // of the tasks that are asked for
    // Whose turn what comes of this call moves: nobody's when nobody else wanted it.
    std::optional<wire::Offer> charged;
    std::uint64_t news = 0;  // of that shard, when it was asked
    Instant asked_at;
    bool is_busy = false;  // a shard is asked
    bool in_round = false;
    bool is_ended = false;      // with the answer of the call under way
    bool weighs = false;        // a task that it was given takes something of its worker
    bool parks = false;         // shards were told that it waits
    bool was_answered = false;  // by a shard, in the first pass
    std::optional<http::Response> trouble;
  };
  struct Shard {
    std::uint64_t news = 1;
    std::size_t unknown = 0;   // kinds that have polls, and no note of these news
    std::uint64_t from = 0;    // kinds whose first poll that waits came before this one have it
    std::uint64_t passed = 0;  // jobs given before it by others, to who could have had one of it
    int looks = 0;             // calls under way that ask what it has
    Instant looked_since;      // since when there are any
    Instant away_since;
    bool is_open = false;  // a round
    bool is_asking = false;
    bool is_ours = false;    // others are told of what is left
    bool was_asked = false;  // since the last news
    Instant close_by;
    Instant told_at, tell_at;
    bool tell_unseen = false;  // jobs are left, whatever may_have_ready says
  };

  // What shards are told of a worker that waits no longer.
  struct Farewell {
    std::string worker_id;
    http::Request request;
    int next = 0;  // the shard that is told next
  };

  // More than that a shard gives to no poll: an answer with as many says nothing of what is left.
  static constexpr int kAskedMax = 256;

  Polls(Outside outside, PollOptions options);
  std::uint64_t take_in(PollWish wish, bool waits_for_go);
  void look_at_clock();
  std::vector<std::uint64_t> polls_of(const std::string& worker_id) const;
  void begin(std::uint64_t id, Poll& poll, Stage stage);
  void plan_first(Poll& poll);
  void go_on(std::uint64_t id, Poll& poll);
  void ask(std::uint64_t id, Poll& poll, Ask call);
  std::optional<Ask> next_ask(const Poll& poll);
  std::vector<int> unasked_of(const Poll& poll) const;
  bool has_said(const Poll& poll, int shard);
  bool is_slow(const Shard& shard) const;
  Ask best_of(const std::vector<int>& shards, const Poll& poll, int left);
  std::vector<Offered>& offers_of(const Poll& poll);
  std::uint64_t turn_of(const std::string& project) const;
  void charge(const wire::Offer& offer, std::size_t tasks);
  void end_look(const Poll& poll);
  void take_offer(Poll& poll, const std::optional<wire::Next>& next, std::size_t given);
  void answered(std::uint64_t id, http::Response response);
  void note_nothing(Poll& poll);
  void rest(std::uint64_t id, Poll& poll);
  void wake(std::uint64_t id, Poll& poll);
  void finish(std::uint64_t id, Poll& poll, std::optional<http::Response> refusal = {});
  void leave(std::uint64_t id, Poll& poll);
  void advance(int shard);
  void close_round(int shard);
  void send_tell(int shard);
  void settle();
  void flush(bool ticks = false);
  using Calls = std::deque<std::function<void()>>;
  void make_call(std::unique_lock<std::mutex>& lock, Calls& calls);
  void wake_soon(std::unique_lock<std::mutex>& lock);
  void note_news(Shard& shard);
  void set_idle(KindEntry* kind, std::uint64_t id, bool is_idle);
  void leave_kind(Poll& poll);
  bool is_known(const Kind& kind, std::size_t shard) const;
  void end_the_gone();
  void give_up(std::uint64_t id);
  void say_farewells();
  bool is_away(const Shard& shard) const;
  bool may_have(const Kind& kind, int shard) const;
  void enter_kind(Poll& poll, const std::string& kind);
  void sweep_kinds();
  Instant next() const;

  const Outside outside_;
  const PollOptions options_;
  const int count_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable calm_;
  Instant now_;  // when the lock was taken
  bool stopped_ = false;
  std::map<std::uint64_t, Poll> polls_;
  std::unordered_map<std::string, std::set<std::uint64_t>> by_worker_;
  std::uint64_t last_id_ = 0;
  std::vector<Shard> shards_;
  int first_ = -1;  // the shard that was asked first by the last poll that came
  std::unordered_map<std::string, std::vector<Offered>> offers_;  // by PollWish::alike, by shard
  std::unordered_map<std::string, std::uint64_t> turns_;          // by project; others: turn_
  std::uint64_t turn_ = 0;                                        // the turn that it is now
  std::unordered_map<std::string, Kind> kinds_;
  std::size_t used_kinds_ = 0;                  // that have polls
  std::map<std::uint64_t, KindEntry*> fronts_;  // by the first of its polls that waits
  Instant next_sweep_;
  std::set<std::pair<Instant, std::uint64_t>> ends_, beats_;  // of polls that wait
  int keeping_ = 0;
  std::deque<Farewell> farewells_;
  int saying_ = 0;   // calls of farewells under way
  Instant look_at_;  // when callers of polls that wait are looked at next
  Instant armed_;    // what wake_at was told last, 0: nothing that is still to come
  // To make once the lock is open: by anybody; by who ticks.
  Calls calls_, round_calls_;
  bool is_ticking_ = false;  // makes calls
  int calling_ = 0;          // being made
};

}  // namespace mc::cluster
