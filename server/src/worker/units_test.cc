// Masking, commands, env files, globs, archives, processes: the parts below a job.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/rng.h"
#include "base/text.h"
#include "worker/archive.h"
#include "worker/commands.h"
#include "worker/env_file.h"
#include "worker/globs.h"
#include "worker/inside.h"
#include "worker/mask.h"
#include "worker/process.h"
#include "worker/supervise.h"
#include "worker/sweep.h"
#include "worker/workspace.h"

namespace mc::worker {
namespace {
namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

SecretSet secrets(std::initializer_list<std::string_view> values) {
  SecretSet set;
  for (const std::string_view value : values) set.add(value);
  set.build();
  return set;
}

TEST(Mask, HidesEachSecretWholly) {
  const struct {
    std::initializer_list<std::string_view> values;
    const char *text, *want;
  } rows[] = {
      {{"hunter2"}, "pw hunter2!", "pw ***!"},
      {{"abc", "abcdef"}, "xabcdefx", "x***x"},
      {{"abc", "bcd"}, "abcd", "***"},
      {{"aba"}, "ababa-", "***-"},
      {{"ab"}, "ab stays: too short", "ab stays: too short"},
      {{"line one\nline two"}, "got line two", "got ***"},
      {{"secret\n"}, "secret.", "***."},
      {{"abc"}, "ab", "ab"},
      {{"abc"}, "abcabc abc", "*** ***"},
      {{}, "nothing", "nothing"},
  };
  for (const auto& row : rows) EXPECT_EQ(secrets(row.values).mask(row.text), row.want) << row.text;
}

TEST(Mask, HidesBase64InEveryPlaceAndBothAlphabets) {
  // printf '%s' … | base64; the first and last characters may belong to what stands beside it.
  const struct {
    const char *secret, *text, *want;
  } rows[] = {
      {"correct-horse-9", "Y29ycmVjdC1ob3JzZS05", "***"},                   // alone
      {"correct-horse-9", "OmNvcnJlY3QtaG9yc2UtOQ==", "Om***Q=="},          // behind ":"
      {"correct-horse-9", "dTpjb3JyZWN0LWhvcnNlLTk=", "dTp***k="},          // behind "u:"
      {"correct-horse-9", "dXNlcjpjb3JyZWN0LWhvcnNlLTk=", "dXNlcjp***k="},  // "user:" before
      {"\xfb\xff\xfb\xff\xfb\xff", "+//7//v/", "***"},
      {"\xfb\xff\xfb\xff\xfb\xff", "-__7__v_", "***"},
      {"short", "c2hvcnQ=", "c2hvcnQ="},
  };
  for (const auto& row : rows)
    EXPECT_EQ(secrets({row.secret}).mask(row.text), row.want) << row.text;
}

// However the text is cut into pieces, the result is the same and holds no secret.
TEST(Mask, CutsDoNotMatter) {
  const SecretSet set = secrets({"aab", "abba", "bab"});
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    Rng rng(seed);
    std::string text;
    for (std::uint64_t i = rng.below(40); i > 0; --i) text += "abc"[rng.below(3)];
    Masker masker;
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t n = rng.below(4) + 1;
      out += masker.feed(std::string_view(text).substr(at, n), set);
      at += n;
    }
    out += masker.finish();
    ASSERT_EQ(out, set.mask(text)) << "seed " << seed << ": " << text;
    for (const char* secret : {"aab", "abba", "bab"})
      ASSERT_EQ(out.find(secret), std::string::npos) << text;
  }
}

TEST(Mask, HoldsBackOnlyWhatMayBecomeASecretAlsoWhenTheSetGrows) {
  SecretSet set = secrets({"hunter2"});
  Masker masker;
  EXPECT_EQ(masker.feed("see hun", set), "see ");
  set.add("unter");
  set.build();
  masker.renew(set);
  EXPECT_EQ(masker.feed("ter", set), "");
  EXPECT_EQ(masker.feed("3\n", set), "h***3\n");
}

TEST(Commands, AreReadAsOtherSystemsWriteThem) {
  const auto command = parse_command("::error file=a.cc,line=12,title=x%2Cy::bad%0Athing: 100%25");
  ASSERT_TRUE(command.has_value());
  EXPECT_EQ(command->text, "bad\nthing: 100%");
  const auto value = annotation_of(*command);
  EXPECT_EQ(value->string_or("title", ""), "x,y");
  EXPECT_EQ(value->int_or("line", 0), 12);
  for (const char* plain : {":: ::", "::", "::error", " ::error::x", "a::b::c", "::1::x"}) {
    EXPECT_FALSE(parse_command(plain).has_value()) << plain;
  }
  EXPECT_EQ(parse_annotations(
                "warning=careful\nnonsense\n{\"level\":\"error\",\"message\":\"m\"}\n{bad\n")
                .size(),
            2U);
  const List block = parse_annotations("warning<<E\ntwo\nlines\nE\nnotice=a << b\n");
  ASSERT_EQ(block.size(), 2U);
  EXPECT_EQ(block[0].string_or("message", ""), "two\nlines");
  EXPECT_EQ(block[1].string_or("message", ""), "a << b");
}

TEST(Commands, TheScannerGivesTextAtOnceUnlessALineMayBeACommand) {
  LineScanner scanner;
  std::string text;
  std::vector<std::string> commands;
  const auto on_text = [&](std::string_view part) { text += part; };
  const auto on_command = [&](std::string_view line) { commands.emplace_back(line); };
  scanner.feed("prompt> ", on_text, on_command);
  EXPECT_EQ(text, "prompt> ");
  scanner.feed("x\n:", on_text, on_command);
  EXPECT_EQ(text, "prompt> x\n");
  scanner.feed(":notice::h", on_text, on_command);
  EXPECT_EQ(text, "prompt> x\n");
  scanner.feed("i\n:no\n", on_text, on_command);
  EXPECT_EQ(text, "prompt> x\n::notice::hi\n:no\n");
  EXPECT_THAT(commands, ElementsAre("::notice::hi"));
}

TEST(EnvFile, ReadsPairsAndBlocks) {
  const auto pairs = parse_env_file("a=1\n\nb<<END\nx=y\n\nz\nEND\na=2=3\nc=\nd<<X\nX\n", "F");
  ASSERT_TRUE(pairs.ok()) << pairs.error().message;
  EXPECT_THAT(*pairs, ElementsAre(testing::Pair("a", "1"), testing::Pair("b", "x=y\n\nz"),
                                  testing::Pair("a", "2=3"), testing::Pair("c", ""),
                                  testing::Pair("d", "")));
}

TEST(EnvFile, SaysWhatIsWrongAndWhere) {
  const struct {
    std::string text;
    const char* want;
  } rows[] = {
      {"a=1\nnonsense", "line 2: expected name=value"},
      {"1a=1", "line 1: `1a` is no name"},
      {"=x", "line 1: `` is no name"},
      {"x=1\na<<E\nb\n", "line 2: the block of `a` has no end `E`"},
      {"a<<\nb\n", "line 1: the block of `a` has no delimiter"},
      {std::string("a=\0", 3), "line 1: it holds a zero byte"},
      {std::string("a<<E\n\0\nE", 8), "line 1: `a` holds a zero byte"},
      {"a=" + std::string(65537, 'x'), "`a` has 65537 bytes, at most 64.0 KiB"},
  };
  for (const auto& row : rows) {
    const auto pairs = parse_env_file(row.text, "F");
    ASSERT_FALSE(pairs.ok()) << row.want;
    EXPECT_THAT(pairs.error().message, HasSubstr(row.want));
  }
}

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path().string() + "/mc_units_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(root_).ok()); }
  void put(const std::string& path, const std::string& text = "x") {
    fs::create_directories(fs::path(root_ + "/" + path).parent_path());
    ASSERT_TRUE(write_file(root_ + "/" + path, text).ok());
  }
  std::string root_;
};

TEST_F(Folder, GlobsFindFiles) {
  for (const char* path : {"a.cc", "src/b.cc", "src/deep/c.cc", "src/c.h", ".git/x.cc", "out/bin"})
    put(path);
  const auto find = [&](std::vector<std::string> patterns) { return *find_files(root_, patterns); };
  EXPECT_THAT(find({"**/*.cc"}), ElementsAre("a.cc", "src/b.cc", "src/deep/c.cc"));
  EXPECT_THAT(find({"src"}), ElementsAre("src/b.cc", "src/c.h", "src/deep/c.cc"));
  EXPECT_THAT(find({"./src/", "!src/deep/**"}), ElementsAre("src/b.cc", "src/c.h"));
  EXPECT_THAT(find({"o*"}), ElementsAre("out/bin"));
  EXPECT_THAT(find({"nothing/**"}), ElementsAre());
  EXPECT_THAT(find({root_ + "/a.cc"}), ElementsAre("a.cc"));
  for (const char* outside : {"../x", "/etc/passwd", "src/../../x"})
    EXPECT_FALSE(find_files(root_, {outside}).ok()) << outside;
}

TEST_F(Folder, HashesChangeWithNamesModesAndContents) {
  put("a", "1");
  const auto before = *hash_files(root_, {"**"});
  put("a", "2");
  EXPECT_NE(*hash_files(root_, {"**"}), before);
  put("a", "1");
  EXPECT_EQ(*hash_files(root_, {"**"}), before);
  fs::permissions(root_ + "/a", fs::perms::owner_all);
  EXPECT_NE(*hash_files(root_, {"**"}), before);
}

TEST_F(Folder, ArchivesKeepFilesModesAndLinksAndAreReproducible) {
  put("in/run.sh", "#!/bin/sh\n");
  put("in/deep/data", std::string(300'000, 'q'));
  fs::permissions(root_ + "/in/run.sh", fs::perms(0755));
  fs::create_symlink("run.sh", root_ + "/in/link");
  const std::vector<std::string> files{"deep/data", "link", "run.sh"};
  ASSERT_TRUE(pack(root_ + "/in", files, root_ + "/one.tgz").ok());
  ASSERT_TRUE(pack(root_ + "/in", files, root_ + "/two.tgz").ok());
  EXPECT_EQ(*digest_file(root_ + "/one.tgz"), *digest_file(root_ + "/two.tgz"));
  const Status unpacked = unpack(root_ + "/one.tgz", root_ + "/out");
  ASSERT_TRUE(unpacked.ok()) << unpacked.error().message;
  EXPECT_EQ(fs::file_size(root_ + "/out/deep/data"), 300'000U);
  EXPECT_EQ(fs::read_symlink(root_ + "/out/link"), "run.sh");
  EXPECT_EQ(::access((root_ + "/out/run.sh").c_str(), X_OK), 0);
  put("broken", "not an archive");
  EXPECT_FALSE(unpack(root_ + "/broken", root_ + "/out").ok());
}

TEST_F(Folder, AnArchiveCannotWriteOutside) {
  fs::create_directories(root_ + "/in/away");
  fs::create_directories(root_ + "/target");
  put("in/away/f", "evil");
  ASSERT_TRUE(pack(root_ + "/in", {"away/f"}, root_ + "/a.tgz").ok());
  fs::create_directories(root_ + "/out");
  fs::create_symlink(root_ + "/target", root_ + "/out/away");
  EXPECT_FALSE(unpack(root_ + "/a.tgz", root_ + "/out").ok() && fs::exists(root_ + "/target/f"));
  EXPECT_FALSE(fs::exists(root_ + "/target/f"));
}

TEST_F(Folder, LinksAreFollowedOnlyInside) {
  put("in/real/f", "inside");
  put("secret", "outside");
  const std::string in = root_ + "/in";
  fs::create_directory_symlink("real", in + "/folder");
  fs::create_directory_symlink(root_, in + "/up");
  fs::create_symlink(root_ + "/secret", in + "/file");
  EXPECT_THAT(*find_files(in, {"folder"}), ElementsAre("folder/f"));
  EXPECT_THAT(*find_files(in, {"folder/*"}), ElementsAre("folder/f"));
  EXPECT_THAT(*find_files(in, {"**"}), ElementsAre("file", "folder", "real/f", "up"));
  for (const char* outside : {"up", "up/secret", "up/*", "../secret", "up/in/../secret"})
    EXPECT_EQ(find_files(in, {outside}).error().code, Code::invalid_field) << outside;
  EXPECT_TRUE(open_inside(in, "folder/f", O_RDONLY).ok());
  EXPECT_TRUE(open_inside(in, in + "/real/f", O_RDONLY).ok());
  for (const char* outside : {"file", "up/secret", "/etc/hostname", "../secret"})
    EXPECT_EQ(open_inside(in, outside, O_RDONLY).error().code, Code::invalid_field) << outside;
  EXPECT_EQ(open_inside(in, "nothing", O_RDONLY).error().code, Code::not_found);
  EXPECT_EQ(*resolve_inside(in, "not/there/yet"), fs::canonical(in).string() + "/not/there/yet");
}

TEST_F(Folder, WhatIsNoRegularFileIsNeitherWaitedForNorWrittenTo) {
  put("outside", "kept");
  ASSERT_EQ(::mkfifo((root_ + "/pipe").c_str(), 0600), 0);
  fs::create_directories(root_ + "/in/folder");
  ASSERT_EQ(::mkfifo((root_ + "/in/pipe").c_str(), 0600), 0);
  fs::create_symlink(root_ + "/outside", root_ + "/in/link");
  for (const char* name : {"pipe", "folder"}) {
    EXPECT_EQ(open_inside(root_ + "/in", name, O_RDONLY).error().code, Code::invalid_field);
    EXPECT_EQ(open_inside(root_ + "/in", name, O_WRONLY).error().code, Code::invalid_field);
  }
  for (const char* name : {"pipe", "folder", "link"}) {
    ASSERT_TRUE(replace_inside(root_ + "/in", name, "new").ok()) << name;
    EXPECT_EQ(*read_file(root_ + "/in/" + name, 100), "new");
  }
  EXPECT_EQ(*read_file(root_ + "/outside", 100), "kept");
}

TEST_F(Folder, AWorkspaceIsRemovedWhateverIsInIt) {
  std::string folder;
  {
    auto workspace = Workspace::create(root_, "run/1/1");
    ASSERT_TRUE(workspace.ok());
    folder = workspace->folder();
    fs::create_directories(workspace->files() + "/a/b");
    ASSERT_TRUE(write_file(workspace->files() + "/a/b/f", "x").ok());
    ASSERT_EQ(::chmod((workspace->files() + "/a/b").c_str(), 0500), 0);
    ASSERT_EQ(::chmod((workspace->files() + "/a").c_str(), 0), 0);
  }
  EXPECT_FALSE(fs::exists(folder));
  fs::create_directories(fs::path(root_) / "work" / "left");
  sweep_workspaces(root_);
  EXPECT_FALSE(fs::exists(fs::path(root_) / "work" / "left"));
}

// --- processes ---

std::string read_all(const Fd& fd) {
  std::string text(4096, '\0');
  std::string all;
  for (;;) {
    const ssize_t n = ::read(fd.get(), text.data(), text.size());
    if (n <= 0) return all;
    all.append(text, 0, static_cast<std::size_t>(n));
  }
}

SpawnOptions bash(const std::string& text) {
  return {
      .argv = {"bash", "-c", text}, .env = {"PATH=/usr/bin:/bin", "MARK=units"}, .folder = "/tmp"};
}

TEST(Processes, StartCleanAndTellHowTheyEnd) {
  auto process = spawn(bash(
      "pwd; cat; ls /proc/self/fd | wc -l; grep -E 'SigBlk|SigIgn' /proc/self/status; exit 7"));
  ASSERT_TRUE(process.ok()) << process.error().message;
  const std::string out = read_all(process->out());
  EXPECT_EQ(process->wait().exit_code, 7);
  EXPECT_THAT(out, HasSubstr("/tmp\n4\n"));  // 0, 1, 2 and the one that lists
  EXPECT_THAT(out, HasSubstr("SigBlk:\t0000000000000000\n"));
  // Signals 32 and 33 are the C library's own: what a parent made of them nobody may change.
  EXPECT_THAT(out, testing::ContainsRegex("SigIgn:\t0000000[01][08]0000000\n"));
}

TEST(Processes, TellWhyTheyCannotStart) {
  EXPECT_EQ(spawn({.argv = {"no-such-program"}, .env = {}, .folder = "/"}).error().code,
            Code::unavailable);
  const auto process = spawn({.argv = {"/etc/passwd"}, .env = {}, .folder = "/"});
  ASSERT_FALSE(process.ok());
  EXPECT_THAT(process.error().message, HasSubstr("Permission denied"));
  EXPECT_FALSE(spawn({.argv = {"/bin/true"}, .env = {}, .folder = "/no/such/folder"}).ok());
}

TEST(Processes, AreKilledWithTheirGroupWhenNobodyHoldsThem) {
  Fd out;
  {
    auto process = spawn(bash("sleep 600 & sleep 600 & wait"));
    ASSERT_TRUE(process.ok());
    out = std::move(process->out());
  }
  EXPECT_EQ(read_all(out), "");  // ends only when all writers are gone
}

TEST(Processes, SignalsHaveNames) {
  auto process = spawn(bash("kill -TERM $$"));
  ASSERT_TRUE(process.ok());
  EXPECT_EQ(process->wait().signal, SIGTERM);
  EXPECT_EQ(signal_name(SIGTERM), "SIGTERM");
}

TEST(Sweep, FindsMarkedProcessesInSessionsOfTheirOwn) {
  become_subreaper();
  const std::string marker = "MAESTRO_TEST_MARK=" + std::to_string(::getpid());
  SpawnOptions options = bash("setsid bash -c 'echo up; while :; do sleep 600; done' & wait");
  options.env.push_back(marker);
  auto process = spawn(options);
  ASSERT_TRUE(process.ok());
  char up = 0;
  ASSERT_EQ(::read(process->out().get(), &up, 1), 1);
  EXPECT_GE(kill_marked(marker, std::chrono::seconds(10)), 2);
  EXPECT_EQ(process->wait().signal, SIGKILL);
  EXPECT_EQ(kill_marked(marker, std::chrono::seconds(10)), 0);
}

TEST(Sweep, WhatIsOfAnotherLifeIsLeftAlone) {
  const std::string home = "MAESTRO_TEST_MARK=" + std::to_string(::getpid()) + "/";
  SpawnOptions options = bash("echo up; exec tail -f /dev/null");
  options.env.push_back(home + "12");
  auto process = spawn(options);
  ASSERT_TRUE(process.ok());
  char up = 0;
  ASSERT_EQ(::read(process->out().get(), &up, 1), 1);
  EXPECT_EQ(kill_marked(home + "1", std::chrono::seconds(10)), 0);
  EXPECT_TRUE(process->running() && !process->try_wait());
  EXPECT_EQ(kill_marked(home, std::chrono::seconds(10)), 1);
  EXPECT_EQ(process->wait().signal, SIGKILL);
}

}  // namespace
}  // namespace mc::worker
