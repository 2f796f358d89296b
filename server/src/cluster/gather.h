// One call to several shards at the same time.
#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "cluster/shards.h"

namespace mc::cluster {

// By shard; nullopt: it was not asked.
using Answers = std::vector<std::optional<http::Response>>;

// Makes the calls and gives all answers to `done`: once, on the thread of the last answer.
// Requires: at least one call, at most one a shard.
void gather(Shards& shards, std::vector<std::pair<int, http::Request>> calls,
            std::function<void(Answers)> done);

// A request that carries what `from` says about who asks (token, id, address), with another
// target and body.
http::Request request_like(const http::Request& from, std::string target, std::string body);

}  // namespace mc::cluster
