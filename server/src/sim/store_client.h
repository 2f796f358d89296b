// A replica's way to the database, as db/postgres/postgres_store.cc takes it: one connection that
// writes, and the production CommitCourse, which decides what follows when that is lost.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "db/postgres/commit_course.h"
#include "sim/database.h"

namespace mc::sim {

class StoreClient {
 public:
  using Later = std::function<void(Millis, std::function<void()>)>;

  // `later`: when the process goes on, if it still lives then. Both outlive this.
  StoreClient(Timeline& timeline, Database& database, std::string name, Database::Fence fence,
              Later later, std::uint64_t seed);

  // Calls `done` once. `work`: how long the database takes for it.
  // Requires: the one before is done; what `batch` is stays as long.
  void commit(const db::Batch& batch, Millis work, std::function<void(const Status&)> done);
  const Database::Fence& fence() const { return fence_; }
  // Whether the last commit failed and may be made all the same, later.
  bool in_doubt() const { return in_doubt_; }

 private:
  // One commit on its way.
  struct Going {
    const db::Batch* batch = nullptr;
    Uuid id;
    Instant until;
    Millis work{0}, pause{20};
    db::CommitCourse course;
    std::function<void(const Status&)> done;
  };
  using Task = std::shared_ptr<Going>;  // whoever goes on with it last ends it

  void go_on(const Task& going);
  void connect(const Task& going);
  void look_up(const Task& going);
  void write(const Task& going);
  void pause(const Task& going);
  void ask(Millis work, Millis patience, std::function<void()> carry_out,
           std::function<void(bool)> then);

  Timeline& timeline_;
  Database& database_;
  const std::string name_;
  const Database::Fence fence_;
  const Later later_;
  Rng rng_;
  bool connected_ = false, in_doubt_ = false;
};

}  // namespace mc::sim
