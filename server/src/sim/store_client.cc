#include "sim/store_client.h"

namespace mc::sim {
namespace {
// As PostgresSettings has them: a connection, a statement and its margin, an outage.
constexpr Millis kConnect{5'000};
constexpr Millis kStatement{15'000};
constexpr Millis kOutage{30'000};
constexpr Millis kPauseMax{2'000};
const Error kLost{Code::store_failed, "the connection to PostgreSQL was lost", {}};
}  // namespace

StoreClient::StoreClient(Timeline& timeline, Database& database, std::string name,
                         Database::Fence fence, Later later, std::uint64_t seed)
    : timeline_(timeline),
      database_(database),
      name_(std::move(name)),
      fence_(std::move(fence)),
      later_(std::move(later)),
      rng_(seed) {}

void StoreClient::commit(const db::Batch& batch, Millis work,
                         std::function<void(const Status&)> done) {
  auto going = std::make_shared<Going>();
  going->batch = &batch;
  going->id = make_uuid(timeline_.now(), rng_);
  going->until = timeline_.now() + kOutage;
  going->work = work;
  going->done = std::move(done);
  go_on(going);
}

void StoreClient::go_on(const Task& going) {
  using Step = db::CommitCourse::Step;
  switch (going->course.next()) {
    case Step::connect: return connect(going);
    case Step::look_up: return look_up(going);
    case Step::write: return write(going);
    case Step::pause: return pause(going);
    case Step::end:
      in_doubt_ = going->course.in_doubt();
      return going->done(going->course.result());  // may end this
  }
}

void StoreClient::ask(Millis work, Millis patience, std::function<void()> carry_out,
                      std::function<void(bool)> then) {
  // This may be gone when the answer comes: `later` knows.
  database_.send(name_, work, patience, carry_out,
                 [this, later = later_, then = std::move(then)](bool answered) {
                   later(Millis(0), [this, then, answered] {
                     connected_ = answered;
                     then(answered);
                   });
                 });
}

void StoreClient::connect(const Task& going) {
  if (connected_) {
    going->course.connected({});
    return go_on(going);
  }
  ask(
      Millis(0), kConnect, [] {},
      [this, going](bool answered) {
        going->course.connected(answered ? Status() : Status(kLost));
        go_on(going);
      });
}

void StoreClient::look_up(const Task& going) {
  auto made = std::make_shared<bool>(false);
  ask(
      Millis(0), kStatement,
      [made, id = going->id, &database = database_] { *made = database.has_commit(id); },
      [this, going, made](bool answered) {
        going->course.looked_up(answered ? std::optional(*made) : std::nullopt);
        go_on(going);
      });
}

void StoreClient::write(const Task& going) {
  using Made = Database::Made;
  using Written = db::CommitCourse::Written;
  struct Outcome {
    Made made = Made::refused;
    Error why;
  };
  auto outcome = std::make_shared<Outcome>();
  ask(
      going->work, kStatement,
      // A copy: what comes late comes when the process may be gone.
      [outcome, batch = std::make_shared<db::Batch>(*going->batch), id = going->id, fence = fence_,
       &database = database_] { outcome->made = database.commit(*batch, id, fence, outcome->why); },
      [this, going, outcome](bool answered) {
        const bool made = outcome->made == Made::now || outcome->made == Made::before;
        going->course.written(!answered ? Written::lost
                              : made    ? Written::made
                                        : Written::refused,
                              answered ? outcome->why : kLost);
        go_on(going);
      });
}

void StoreClient::pause(const Task& going) {
  const Millis wait(static_cast<std::int64_t>(static_cast<double>(going->pause.count()) *
                                              (0.5 + rng_.unit() / 2)));
  going->pause = std::min(2 * going->pause, kPauseMax);
  later_(wait, [this, going] {
    going->course.paused(timeline_.now() < going->until);
    go_on(going);
  });
}

}  // namespace mc::sim
