// What cli's tests share: a process that is not one, and a server that answers by script.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/session.h"

namespace mc::cli::test {

// What a test sees of the process, and may set.
struct Desk {
  std::string out, err, input;
  std::map<std::string, std::string> variables;
  Interrupts interrupts;
  Io io;
  Desk() {
    io.out = [this](std::string_view text) { out += text; };
    io.err = [this](std::string_view text) { err += text; };
    io.read_input = [this] { return Result<std::string>(input); };
    io.read_line = [] { return std::optional<std::string>(); };
    io.variable = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      return found == variables.end() ? std::nullopt : std::optional(found->second);
    };
    io.interrupts = &interrupts;
  }
};

struct Reply {
  int status = 200;
  std::string body;
};

// Answers "METHOD path" with what was scripted for it, in order; the last answer stays. Shared by
// the transports it makes; lives as long as the test.
struct Script {
  std::map<std::string, std::deque<Reply>> replies;
  std::vector<client::Call> calls;
  bool down = false;  // nothing answers
  int down_for = 0;   // nor do the next calls, this many

  void on(const std::string& what, int status, const std::string& body) {
    replies[what].push_back({status, body});
  }
  Result<client::Answer> answer(const client::Call& call) {
    if (down || (down_for > 0 && down_for-- > 0))
      return Error{Code::unreachable, "connection refused", {}};
    calls.push_back(call);
    const auto found = replies.find(call.method + " " + call.path);
    if (found == replies.end()) {
      return client::Answer{404,
                            {{"x-request-id", "req-1"}},
                            R"({"code":"not_found","detail":"no script for )" + call.path + "\"}"};
    }
    const Reply reply = found->second.front();
    if (found->second.size() > 1) found->second.pop_front();
    return client::Answer{reply.status, {{"x-request-id", "req-1"}}, reply.body};
  }
};

class ScriptTransport : public client::Transport {
 public:
  explicit ScriptTransport(Script& script) : script_(script) {}
  Result<client::Answer> send(const client::Call& call) override { return script_.answer(call); }

 private:
  Script& script_;
};

// One command line against a scripted server.
struct Stage {
  Desk desk;
  Script script;
  Doors doors;
  Stage() {
    desk.variables = {
        {"MAESTRO_URL", "http://test"}, {"MAESTRO_TOKEN", "secret"}, {"HOME", "/nowhere"}};
    doors.connect = [this](const std::string&, const std::string&) {
      return std::make_unique<ScriptTransport>(script);
    };
  }
  int run(std::vector<std::string> words) { return run_main(words, desk.io, doors); }
};

}  // namespace mc::cli::test
