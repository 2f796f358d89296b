#include "tests/contract/postgres_proxy.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>

#include "base/text.h"

namespace mc::db::contract {
namespace {
constexpr int kTickMs = 10;
constexpr std::string_view kAnswer(
    "\x0b"
    "COMMIT\0",
    8);                                                // the end of CommandComplete
constexpr std::string_view kRequest("\0COMMIT\0", 8);  // within Parse

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  MC_CHECK(path.size() < sizeof(address.sun_path));
  path.copy(address.sun_path, path.size());
  return address;
}
}  // namespace

Fd listen_in(const std::string& folder) {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(folder + "/.s.PGSQL.5432");
  MC_CHECK(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  MC_CHECK(::listen(fd.get(), 64) == 0);
  return fd;
}

std::string url_in(const std::string& folder, const std::string& database) {
  return fmt::format("postgres://postgres@/{}?host={}", database, percent_encode(folder));
}

PostgresProxy::PostgresProxy(std::string upstream)
    : upstream_(std::move(upstream)), listener_(listen_in(folder_.path())) {
  thread_ = std::thread([this] { serve(); });
}
PostgresProxy::~PostgresProxy() {
  over_ = true;
  thread_.join();
}

std::string PostgresProxy::url(const std::string& database) const {
  return url_in(folder_.path(), database);
}

void PostgresProxy::replace(std::string from, std::string to) {
  const std::lock_guard lock(mutex_);
  from_ = std::move(from);
  to_ = std::move(to);
}

void PostgresProxy::drop_clients() {
  const std::lock_guard lock(mutex_);
  for (Link& link : links_) link.client.close();
}

void PostgresProxy::accept_one() {
  Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  Fd server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(upstream_);
  const bool reached =
      ::connect(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  if (client && reached) links_.push_back({std::move(client), std::move(server)});
}

void PostgresProxy::pass_on(Link& link, bool from_client) {
  std::array<char, 65536> buffer;
  const int from = from_client ? link.client.get() : link.server.get();
  const ssize_t count = ::read(from, buffer.data(), buffer.size());
  std::string bytes(buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  std::atomic<bool>& armed = from_client ? cut_request_ : cut_answer_;
  const bool found = bytes.find(from_client ? kRequest : kAnswer) != std::string::npos;
  const bool cut = found && armed.exchange(false);
  cuts_ += cut ? 1 : 0;
  if (cut || count <= 0) {
    link.client.close();
    link.server.close();
    return;
  }
  const std::size_t at = from_client || from_.empty() ? std::string::npos : bytes.find(from_);
  if (at != std::string::npos) bytes.replace(at, to_.size(), to_);
  // Who went away meanwhile is noticed by the next read.
  (void)::send(from_client ? link.server.get() : link.client.get(), bytes.data(), bytes.size(),
               MSG_NOSIGNAL);
}

void PostgresProxy::serve() {
  while (!over_) {
    std::vector<pollfd> polled = {{listener_.get(), POLLIN, 0}};
    {
      const std::lock_guard lock(mutex_);
      std::erase_if(links_, [](const Link& link) { return !link.server; });
      for (const Link& link : links_) {
        polled.push_back({link.client.get(), POLLIN, 0});
        polled.push_back({link.server.get(), POLLIN, 0});
      }
    }
    if (::poll(polled.data(), polled.size(), kTickMs) <= 0) continue;
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 1; i < polled.size(); ++i) {
      Link& link = links_[(i - 1) / 2];
      const bool from_client = i % 2 == 1;
      const bool open = from_client ? bool(link.client) : bool(link.server);
      if (open && polled[i].revents != 0) pass_on(link, from_client);
    }
    if (polled[0].revents != 0) accept_one();
  }
}

}  // namespace mc::db::contract
