// The tokens of a cluster at each of its replicas: read at the start, when the database says that
// they have changed, and when somebody comes with one that is not known.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>

#include "api/token_table.h"
#include "db/store.h"

namespace mc::bin {

// Threads: any.
class TokenReader {
 public:
  // Errors: store_failed, unreachable.
  static Result<std::unique_ptr<TokenReader>> start(std::unique_ptr<db::Store> store);
  ~TokenReader();
  TokenReader(const TokenReader&) = delete;
  TokenReader& operator=(const TokenReader&) = delete;

  const std::shared_ptr<api::TokenTable>& table() const { return table_; }
  // Has them read again soon.
  void refresh();
  enum class Known : std::uint8_t { yes, no, not_yet };
  struct Project {
    Known known = Known::no;
    std::string name;  // yes: of the project
  };
  // The project that `token` is of. not_yet: it may have been made a moment ago, elsewhere; ask
  // again a little later.
  Project project_of(std::string_view token);

 private:
  explicit TokenReader(std::unique_ptr<db::Store> store);
  void read_on();

  const std::unique_ptr<db::Store> store_;
  const std::shared_ptr<api::TokenTable> table_ = std::make_shared<api::TokenTable>();
  std::mutex mutex_;  // guards what follows
  std::condition_variable wanted_;
  bool stopping_ = false;
  std::uint64_t asked_ = 0;  // number of the last reading that is wanted
  std::uint64_t begun_ = 0;  // of the last that began
  std::uint64_t ended_ = 0;  // of the last that came to an end
  // The reading after which an unknown token is unknown for certain, by its hash.
  std::unordered_map<auth::TokenHash, std::uint64_t> missing_;
  std::thread thread_;
};

}  // namespace mc::bin
