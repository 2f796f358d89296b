// What the worker outside gives to the worker in the pod: the text of the Secret.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/task.h"
#include "wire/task_codec.h"

namespace mc::worker {

struct Handover {
  std::vector<std::string> urls;  // of the servers
  std::string token;
  std::string worker;            // its name
  wire::RegisterReply standing;  // what the server said to the worker outside
  bool no_cache = false;
  Task task;
};

std::string encode(const Handover& handover);
// Errors: malformed_json, missing_field, those of the task.
Result<Handover> decode_handover(std::string_view text);

}  // namespace mc::worker
