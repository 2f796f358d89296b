#include "redis/server_rig_test.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/spawn_test.h"

namespace mc::redis {
namespace {
namespace fs = std::filesystem;
constexpr Millis kPatience{20'000};

std::string make_folder(const std::string& stem) {
  std::string folder = testing::TempDir() + "maestro-" + stem + "-XXXXXX";
  MC_CHECK(::mkdtemp(folder.data()) != nullptr);
  return folder;
}

void remove_folder(const std::string& folder) {
  std::error_code ignored;
  fs::remove_all(folder, ignored);
}

// That is free now; another process may take it all the same.
std::string free_port() {
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  MC_CHECK(::bind(socket.get(), any, size) == 0);
  MC_CHECK(::getsockname(socket.get(), any, &size) == 0);
  return std::to_string(ntohs(address.sin_port));
}
}  // namespace

bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    (void)::poll(nullptr, 0, 5);
  }
  return true;
}

const std::string& ServerRig::missing() {
  static const std::string why =
      fs::exists("/usr/bin/redis-server") ? "" : "no Redis is installed (package redis-server)";
  return why;
}

ServerRig::ServerRig(std::vector<std::string> options, std::string admin)
    : folder_(make_folder("redis")), admin_(std::move(admin)), options_(std::move(options)) {
  start();
}

ServerRig::~ServerRig() {
  kill();
  remove_folder(folder_);
}

std::string ServerRig::url(const std::string& user_info, const std::string& end) const {
  return "redis://" + user_info + "127.0.0.1:" + port_ + end;
}

std::string ServerRig::socket_url(const std::string& user_info, const std::string& end) const {
  return "redis+unix://" + user_info + folder_ + "/socket" + end;
}

void ServerRig::spawn_anew() {
  if (!has_answered_) {
    port_ = free_port();
    tls_port_ = free_port();
  }
  std::vector<std::string> command = {"setpriv",
                                      "--pdeathsig=SIGKILL",
                                      "redis-server",
                                      "--port",
                                      port_,
                                      "--bind",
                                      "127.0.0.1",
                                      "--unixsocket",
                                      folder_ + "/socket",
                                      "--dir",
                                      folder_,
                                      "--save",
                                      "",
                                      "--appendonly",
                                      "no"};
  command.insert(command.end(), options_.begin(), options_.end());
  if (std::ranges::find(options_, "--tls-cert-file") != options_.end())
    command.insert(command.end(), {"--tls-port", tls_port_});
  pid_ = spawn(command, folder_ + "/log");
}

void ServerRig::start() {
  asking_ = std::make_unique<Connection>(*parse_url(socket_url(admin_)), "rig");
  has_answered_ = eventually([&] {
    // It ends when somebody else has its port by now.
    if (pid_ == 0 || ::waitpid(pid_, nullptr, WNOHANG) == pid_) spawn_anew();
    return asking_->open(kPatience).ok();
  });
  MC_CHECK(has_answered_);  // the log in the folder says why not
}

void ServerRig::signal(int number) const { ::kill(pid_, number); }

void ServerRig::kill() {
  if (pid_ == 0) return;
  asking_.reset();
  signal(SIGKILL);
  wait_for(pid_);
  pid_ = 0;
}

Reply ServerRig::ask(const Command& command) {
  const auto replies = asking_->exchange({command}, kPatience);
  if (!replies || replies->front().is_error()) {
    ADD_FAILURE() << command.front() << ": "
                  << (replies ? replies->front().text : replies.error().message);
    return {};
  }
  return replies->front();
}

Certificates::Certificates(const std::string& host) : folder_(make_folder("certificates")) {
  make("ca", {"-subj", "/CN=authority"});
  make("stranger", {"-subj", "/CN=another authority"});
  for (const char* name : {"server", "client"}) {
    make(name, {"-subj", "/CN=" + host, "-addext", "subjectAltName=DNS:" + host, "-CA",
                file("ca.pem"), "-CAkey", file("ca.key")});
  }
}

Certificates::~Certificates() { remove_folder(folder_); }

void Certificates::make(const std::string& name, const std::vector<std::string>& more) const {
  std::vector<std::string> command = {"openssl",
                                      "req",
                                      "-x509",
                                      "-newkey",
                                      "ec",
                                      "-pkeyopt",
                                      "ec_paramgen_curve:prime256v1",
                                      "-nodes",
                                      "-days",
                                      "2",
                                      "-keyout",
                                      file(name + ".key"),
                                      "-out",
                                      file(name + ".pem")};
  command.insert(command.end(), more.begin(), more.end());
  MC_CHECK(wait_for(spawn(command, file("log"))) == 0);
}

std::vector<std::string> Certificates::options(const std::string& clients) const {
  return {"--tls-cert-file",    file("server.pem"), "--tls-key-file",     file("server.key"),
          "--tls-ca-cert-file", file("ca.pem"),     "--tls-auth-clients", clients};
}

}  // namespace mc::redis
