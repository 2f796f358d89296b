#include "redis/connection.h"

// tidy: allow third-party: Asio has no word for what children do not inherit
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <optional>

#include "redis/refusal.h"
#include "redis/tls.h"

namespace mc::redis {
namespace {
namespace asio = boost::asio;
using boost::system::error_code;
using Socket = asio::generic::stream_protocol::socket;
using TlsStream = asio::ssl::stream<Socket&>;
using TimePoint = std::chrono::steady_clock::time_point;

// Connections of many replicas are told apart in CLIENT LIST by it.
std::string client_name(std::string_view name) {
  std::string out = "maestro-";
  for (const char c : name) out += c > ' ' && c < '\x7f' ? c : '-';
  return out;
}

// How an operation ended. Shared with its handler, which may come after its caller has given up:
// the name service cannot be interrupted.
struct Outcome {
  bool done = false;
  error_code error;
  std::size_t bytes = 0;
};
using OutcomePtr = std::shared_ptr<Outcome>;

auto into(const OutcomePtr& outcome) {
  return [outcome](const error_code& error, std::size_t bytes = 0) {
    *outcome = {.done = true, .error = error, .bytes = bytes};
  };
}
}  // namespace

struct Connection::Wire {
  using Endpoints = std::vector<Socket::endpoint_type>;

  asio::io_context context{1};
  asio::ip::tcp::resolver resolver{context};
  std::atomic<bool> interrupted{false};
  // Of the connection that is, or is being made:
  std::optional<Socket> socket;
  std::optional<asio::ssl::context> trust;
  std::optional<TlsStream> tls;
  ReplyReader reader;
  std::string output;
  std::array<char, 16 << 10> input{};
  bool open = false;

  // Runs what is under way until `outcome` is there. Gives what went wrong; none: nothing.
  std::optional<error_code> wait(const Outcome& outcome, TimePoint deadline) {
    context.restart();
    while (!outcome.done && !interrupted) {
      if (context.run_one_until(deadline) == 0) break;
    }
    if (!outcome.done) return error_code(asio::error::timed_out);
    return outcome.error ? std::optional(outcome.error) : std::nullopt;
  }

  // Ends everything that is under way, but for the name service's answer.
  void close() {
    open = false;
    error_code ignored;
    resolver.cancel();
    if (socket) socket->close(ignored);
    context.restart();
    while (context.poll() > 0) {}
    tls.reset();
    trust.reset();
    socket.reset();
  }

  std::optional<error_code> send(TimePoint deadline) {
    const auto sent = std::make_shared<Outcome>();
    if (tls) {
      asio::async_write(*tls, asio::buffer(output), into(sent));
    } else {
      asio::async_write(*socket, asio::buffer(output), into(sent));
    }
    return wait(*sent, deadline);
  }

  std::optional<error_code> receive(TimePoint deadline) {
    const auto got = std::make_shared<Outcome>();
    if (tls) {
      tls->async_read_some(asio::buffer(input), into(got));
    } else {
      socket->async_read_some(asio::buffer(input), into(got));
    }
    const auto trouble = wait(*got, deadline);
    if (!trouble) reader.feed({input.data(), got->bytes});
    return trouble;
  }
};

Connection::Connection(Place place, std::string_view name, ReplyLimits limits)
    : place_(std::move(place)),
      name_(client_name(name)),
      limits_(limits),
      wire_(std::make_unique<Wire>()) {}

Connection::~Connection() { close(); }

bool Connection::is_open() const { return wire_->open; }

void Connection::close() { wire_->close(); }

void Connection::interrupt() {
  wire_->interrupted = true;
  // Wakes who waits. A context that is stopped would not run what close() has to end.
  asio::post(wire_->context, [] {});
}

Error Connection::failure(Code code, std::string_view what) const {
  return {code, "Redis at " + place_.shown() + ": " + std::string(what), {}};
}

Status Connection::open(Millis time) {
  MC_CHECK(!is_open());
  wire_->reader = ReplyReader(limits_);
  try {
    Status opened = connect(std::chrono::steady_clock::now() + time);
    if (opened) {
      wire_->open = true;
    } else {
      close();
    }
    return opened;
  } catch (const std::exception& thrown) {  // no thread for the name service, no memory
    close();
    return failure(Code::unreachable, thrown.what());
  }
}

Status Connection::connect(Deadline deadline) {
  if (Status connected = connect_socket(deadline); !connected) return connected;
  if (place_.tls) {
    if (Status shaken = shake_hands(deadline); !shaken) return shaken;
  }
  return sign_in(deadline);
}

Status Connection::connect_socket(Deadline deadline) {
  Wire& wire = *wire_;
  Wire::Endpoints endpoints;
  if (!place_.socket.empty()) {
    constexpr std::size_t kPathMax = 107;  // what sockaddr_un holds
    if (place_.socket.size() > kPathMax)
      return failure(Code::invalid_setting, "the path of its socket is longer than 107 bytes");
    endpoints.emplace_back(asio::local::stream_protocol::endpoint(place_.socket));
  } else {
    const auto found = std::make_shared<Outcome>();
    const auto names = std::make_shared<Wire::Endpoints>();
    wire.resolver.async_resolve(
        place_.host, place_.port,
        [found, names](const error_code& error, const asio::ip::tcp::resolver::results_type& all) {
          for (const auto& each : all) names->emplace_back(each.endpoint());
          *found = {.done = true, .error = error};
        });
    if (const auto trouble = wire.wait(*found, deadline))
      return failure(Code::unreachable, "its host is not found: " + trouble->message());
    endpoints = std::move(*names);
  }
  std::string why = "it has no address";
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    // Each address gets its share, so that a silent one does not hide the others.
    const auto now = std::chrono::steady_clock::now();
    const auto share = (deadline - now) / static_cast<std::int64_t>(endpoints.size() - i);
    wire.socket.emplace(wire.context);
    error_code ignored;
    wire.socket->open(endpoints[i].protocol(), ignored);  // else connecting says why
    // Neither a child nor what this process may become has it.
    if (wire.socket->is_open()) ::fcntl(wire.socket->native_handle(), F_SETFD, FD_CLOEXEC);
    const auto connected = std::make_shared<Outcome>();
    wire.socket->async_connect(endpoints[i], into(connected));
    const auto trouble = wire.wait(*connected, now + share);
    if (!trouble) {
      // A socket of this machine has no such option.
      wire.socket->set_option(asio::ip::tcp::no_delay(true), ignored);
      return {};
    }
    why = trouble->message();
    wire.close();
  }
  return failure(Code::unreachable, "cannot connect: " + why);
}

Status Connection::shake_hands(Deadline deadline) {
  Wire& wire = *wire_;
  wire.trust.emplace(asio::ssl::context::tls_client);
  if (Status set = set_trust(place_, *wire.trust); !set) return set;
  wire.tls.emplace(*wire.socket, *wire.trust);
  expect_host(place_, wire.tls->native_handle());
  const auto shaken = std::make_shared<Outcome>();
  wire.tls->async_handshake(asio::ssl::stream_base::client, into(shaken));
  const auto trouble = wire.wait(*shaken, deadline);
  if (!trouble) return {};
  if (is_tls_trouble(*trouble))
    return failure(Code::invalid_setting, tls_trouble(*trouble, wire.tls->native_handle()));
  // A Redis that speaks none takes the hello for a command that has no end yet, and keeps silent.
  return failure(Code::unreachable, "no TLS: " + trouble->message() +
                                        "; if it does not speak TLS on this port, write redis://");
}

Status Connection::sign_in(Deadline deadline) {
  Command hello = {"HELLO", "3"};
  if (place_.has_password) {
    const std::string user = place_.user.empty() ? "default" : place_.user;
    hello.insert(hello.end(), {"AUTH", user, place_.password});
  }
  hello.insert(hello.end(), {"SETNAME", name_});
  std::vector<Command> commands = {std::move(hello)};
  if (place_.database != 0) commands.push_back({"SELECT", std::to_string(place_.database)});
  const Result<std::vector<Reply>> replies = converse(commands, deadline);
  if (!replies) return replies.error();
  for (const Reply& reply : *replies) {
    if (reply.is_error()) return refusal(reply, place_);
  }
  if (replies->front().kind != Reply::Kind::map)
    return failure(Code::invalid_setting, "it does not speak RESP3: Redis 6 or newer is needed");
  return {};
}

Result<std::vector<Reply>> Connection::converse(const std::vector<Command>& commands,
                                                Deadline deadline) {
  MC_CHECK(!commands.empty() && commands.size() <= kCommandsMax);
  Wire& wire = *wire_;
  wire.output.clear();
  for (const Command& command : commands) write_command(command, wire.output);
  const auto lost = [&](const error_code& error) {
    if (is_tls_trouble(error))  // since TLS 1.3 a client's certificate is judged this late
      return failure(Code::invalid_setting, tls_trouble(error, wire.tls->native_handle()));
    if (error == asio::error::timed_out) return failure(Code::unreachable, "no answer in time");
    const bool may_want_ours = place_.tls && !wire.open && place_.certificate_file.empty();
    return failure(Code::unreachable, "the connection broke: " + error.message() +
                                          (may_want_ours ? "; if it wants a certificate of us, put "
                                                           "&cert=FILE&key=FILE behind REDIS_URL"
                                                         : ""));
  };
  if (const auto trouble = wire.send(deadline)) {
    // Why the other side has ended it may be there to be read.
    const auto told = wire.tls ? wire.receive(deadline) : std::nullopt;
    return lost(told && is_tls_trouble(*told) ? *told : *trouble);
  }
  std::vector<Reply> replies;
  while (replies.size() < commands.size()) {
    Result<std::optional<Reply>> reply = wire.reader.next();
    if (!reply) return failure(Code::invalid_setting, reply.error().message);
    if (!*reply) {
      if (const auto trouble = wire.receive(deadline)) return lost(*trouble);
    } else if ((*reply)->kind != Reply::Kind::push) {  // nothing that is said unasked concerns us
      replies.push_back(std::move(**reply));
    }
  }
  return replies;
}

Result<std::vector<Reply>> Connection::exchange(const std::vector<Command>& commands, Millis time) {
  MC_CHECK(is_open());
  Result<std::vector<Reply>> replies = Error{};
  try {
    replies = converse(commands, std::chrono::steady_clock::now() + time);
  } catch (const std::exception& thrown) {
    replies = failure(Code::unreachable, thrown.what());
  }
  wire_->output.clear();
  if (replies) return replies;
  close();
  // It was fine when the connection was made.
  return Error{Code::unreachable, replies.error().message, {}};
}

}  // namespace mc::redis
