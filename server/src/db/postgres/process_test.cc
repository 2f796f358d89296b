#include "db/postgres/process.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace mc::db {
namespace {

// One that does nothing until it is killed.
pid_t start_sleeper() {
  const pid_t pid = ::fork();
  if (pid == 0) {
    for (;;) ::pause();
  }
  return pid;
}

TEST(ProcessWatch, SeesTheEndOfOneThatLives) {
  const pid_t pid = start_sleeper();
  const std::string name = process_name(pid);
  ProcessWatch watch(name);
  EXPECT_FALSE(watch.ended());
  ASSERT_GE(watch.descriptor(), 0);
  ::kill(pid, SIGKILL);
  pollfd process{watch.descriptor(), POLLIN, 0};
  EXPECT_EQ(::poll(&process, 1, 60'000), 1);
  EXPECT_TRUE(watch.ended());
  EXPECT_EQ(watch.descriptor(), -1);  // who goes on waiting is not woken for ever
  EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
  EXPECT_TRUE(watch.ended());
  EXPECT_TRUE(ProcessWatch(name).ended());
}

TEST(ProcessWatch, OneThatStandsStillLives) {
  const pid_t pid = start_sleeper();
  ::kill(pid, SIGSTOP);
  EXPECT_EQ(::waitpid(pid, nullptr, WUNTRACED), pid);
  EXPECT_FALSE(ProcessWatch(process_name(pid)).ended());
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

TEST(ProcessWatch, AnotherOneWithItsNumberIsNotIt) {
  std::string name = process_name(::getpid());
  EXPECT_FALSE(ProcessWatch(name).ended());
  EXPECT_TRUE(ProcessWatch(name + "0").ended());  // began at another time
}

TEST(ProcessWatch, OfOtherMachinesAndContainersNothingIsKnown) {
  const std::string name = process_name(::getpid());
  const std::string dead = name + "0";
  const std::string elsewhere[] = {"x" + dead,        "",    "/",       "a/b/c", dead + "/1",
                                   "boot/1/999999/1", "///", name + "/"};
  for (const std::string& other : elsewhere) EXPECT_FALSE(ProcessWatch(other).ended()) << other;
  std::string container = dead;
  container.insert(container.find('/') + 1, "9");
  EXPECT_FALSE(ProcessWatch(container).ended());
  EXPECT_FALSE(ProcessWatch().ended());
  EXPECT_EQ(process_name(0), "");
}

}  // namespace
}  // namespace mc::db
