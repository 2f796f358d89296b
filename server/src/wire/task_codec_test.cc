// What workers and the server say to each other reads back as it was said; what is wrong is named.
#include "wire/task_codec.h"
#include "wire/logs_codec.h"

#include <gtest/gtest.h>

namespace mc::wire {
namespace {
Value json(std::string_view text) {
  Result<Value> value = parse_json(text);
  EXPECT_TRUE(value) << text;
  return value ? std::move(*value) : Value();
}

Result<CompleteRequest> completed(std::string_view result) {
  return decode_complete_request(
      json(R"({"worker_id":"w","results":[)" + std::string(result) + "]}"));
}

TEST(TaskCodec, CarriesATaskWithItsSpecUntouched) {
  Task task{"t1",
            7,
            Uuid{1, 2},
            "build (a)",
            3,
            R"({"x":[1,2.5,"é"],"y":{}})",
            Instant{1'700'000'000'000}};
  const auto read = decode_tasks(json(encode_tasks({task})));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 1U);
  const Task& again = read->front();
  EXPECT_EQ(again.spec_json, task.spec_json);
  EXPECT_EQ(again.deadline, task.deadline);
  EXPECT_EQ(again.run_id, task.run_id);
  EXPECT_EQ(encode_tasks({again}), encode_tasks({task}));
}

TEST(TaskCodec, CarriesAResultWhole) {
  TaskResult result{.task_id = "t1", .fence = 4, .outcome = Outcome::failed};
  result.failure_kind = FailureKind::oom;
  result.exit_code = 137;
  result.signal = 9;
  result.message = "killed";
  result.outputs = Object{{"a", "b"}, {"n", Value(List{Value(1)})}};
  result.steps = {{"s", "Step", StepStatus::failed, 1, 0, 250}};
  result.summary = "# Summary";
  result.annotations = List{Value(Object{{"level", "error"}})};
  result.artifacts = {{"app", "sha256:ab", 12, "text/plain", 99}};
  result.cache = CacheResult{"key", true, Uuid{5, 6}, "build", 1234};
  const std::string said = encode(CompleteRequest{"w", {result}, 2});
  const auto heard = decode_complete_request(json(said));
  ASSERT_TRUE(heard) << heard.error().message;
  EXPECT_EQ(encode(*heard), said);
}

TEST(TaskCodec, ReadsOtherWordsForOutcomesAndSignals) {
  const auto outcome = [](const std::string& word) {
    return completed(R"({"task_id":"t","fence":1,"outcome":")" + word + "\"}")->results[0].outcome;
  };
  EXPECT_EQ(outcome("success"), Outcome::succeeded);
  EXPECT_EQ(outcome("failure"), Outcome::failed);
  EXPECT_EQ(outcome("error"), Outcome::failed);
  EXPECT_EQ(outcome("canceled"), Outcome::cancelled);
  for (const char* signal : {"15", "\"SIGTERM\"", "\"TERM\""}) {
    const auto read = completed(R"({"task_id":"t","fence":1,"outcome":"failed","signal":)" +
                                std::string(signal) + "}");
    ASSERT_TRUE(read) << signal;
    EXPECT_EQ(read->results[0].signal, 15);
  }
}

TEST(TaskCodec, NamesEverythingThatIsWrong) {
  const auto read =
      completed(R"({"task_id":1,"outcome":"splendid","exit_code":"no","outputz":{}})");
  ASSERT_FALSE(read);
  std::string all;
  for (const Problem& problem : read.error().problems)
    all += problem.message + " " + problem.hint + "\n";
  for (const char* word : {"outputz", "outputs?", "task_id", "fence", "outcome", "exit_code"})
    EXPECT_NE(all.find(word), std::string::npos) << word << " in:\n" << all;
}

TEST(TaskCodec, CarriesWhatAWorkerHoldsAndWhereItWaits) {
  const std::string poll = encode(PollRequest{
      "w", 2, 5, {{"s3.t1", {.cpu_milli = 250, .memory = 1 << 20}}, {"t2", {.memory = 7}}}, 9});
  const auto heard = decode_poll_request(json(poll));
  ASSERT_TRUE(heard) << heard.error().message;
  ASSERT_EQ(heard->holds.size(), 2U);
  EXPECT_EQ(heard->holds[0].task_id, "s3.t1");
  EXPECT_EQ(heard->holds[0].resources, (Resources{.cpu_milli = 250, .memory = 1 << 20}));
  EXPECT_EQ(heard->parks_ms, 9);
  EXPECT_EQ(encode(*heard), poll);
  const std::string complete = encode(CompleteRequest{"w", {}, 1, {{"t", {.cpu_milli = 1}}}});
  EXPECT_EQ(encode(*decode_complete_request(json(complete))), complete);
}

TEST(TaskCodec, SaysNothingThatAnOlderServerWouldRefuseUnlessItIsAsked) {
  EXPECT_EQ(encode(PollRequest{.worker_id = "w", .max = 0, .wants_next = true}),
            R"({"worker_id":"w","max":0,"wait_ms":0,"parks_ms":0,"wants_next":true})");
  EXPECT_EQ(decode_poll_request(json(R"({"worker_id":"w","max":0,"wants_next":true})"))->max, 0);
  EXPECT_FALSE(decode_poll_request(json(R"({"worker_id":"w","max":0,"wants_next":false})")));
  EXPECT_EQ(encode(PollRequest{"w", 1, 5}), R"({"worker_id":"w","max":1,"wait_ms":5})");
  EXPECT_EQ(encode(CompleteRequest{"w", {}, 1}), R"({"worker_id":"w","results":[],"max":1})");
  EXPECT_EQ(encode(RegisterRequest{"w", {}, 1, "1"}),
            R"({"name":"w","labels":[],"slots":1,"version":"1"})");
}

TEST(TaskCodec, SaysAgainOfAWorkerThatHasAnId) {
  const std::string id = "0193a5c0-0000-7000-8000-00000000000f";
  const std::string body = encode(RegisterRequest{.name = "w", .worker_id = id, .again = true});
  EXPECT_TRUE(decode_register_request(json(body))->again);
  EXPECT_FALSE(decode_register_request(json(R"({"name":"w"})"))->again);
  EXPECT_FALSE(decode_register_request(json(R"({"name":"w","again":true})"))) << "of whom?";
  const std::string drains =
      encode(RegisterRequest{.name = "w", .worker_id = id, .again = true, .draining = true});
  EXPECT_TRUE(decode_register_request(json(drains))->draining);
  EXPECT_FALSE(decode_register_request(json(R"({"name":"w","draining":true})")))
      << "a worker that comes does not drain";
}

TEST(TaskCodec, RefusesHoldsThatAreNone) {
  for (const char* wrong :
       {R"({"task_id":"t","cpu_milli":-1})", R"({"task_id":"t","memory":"1GiB"})",
        R"({"task_id":"t","memory":1125899906842625})", R"({"cpu_milli":1})",
        R"({"task_id":"t","cpu":1})", R"("t")"}) {
    const std::string holds = std::string(R"(,"holds":[)") + wrong + "]}";
    EXPECT_FALSE(decode_poll_request(json(R"({"worker_id":"w")" + holds))) << wrong;
    EXPECT_FALSE(decode_complete_request(json(R"({"worker_id":"w","results":[])" + holds)))
        << wrong;
  }
}

TEST(TaskCodec, OnlyWhoSaysWhereItWaitsMayAskForNothing) {
  EXPECT_FALSE(decode_poll_request(json(R"({"worker_id":"w","max":0})")));
  EXPECT_FALSE(decode_poll_request(json(R"({"worker_id":"w","max":0,"parks_ms":-1})")));
  for (const char* parks : {"0", "20000"}) {
    const auto read = decode_poll_request(
        json(std::string(R"({"worker_id":"w","max":0,"parks_ms":)") + parks + "}"));
    ASSERT_TRUE(read) << parks;
    EXPECT_EQ(read->max, 0);
    EXPECT_EQ(encode(*decode_poll_request(json(encode(*read)))), encode(*read));
  }
}

TEST(TaskCodec, AWorkersIdFromOutsideIsAUuid) {
  const auto read = decode_register_request(
      json(R"({"name":"w","worker_id":"0193A5C0-0000-7000-8000-00000000000F"})"));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->worker_id, "0193a5c0-0000-7000-8000-00000000000f");
  EXPECT_EQ(encode(*decode_register_request(json(encode(*read)))), encode(*read));
  for (const char* wrong : {R"("")", R"("w1")", "7", R"("00000000-0000-0000-0000-000000000000")"}) {
    const auto refused =
        decode_register_request(json(std::string(R"({"name":"w","worker_id":)") + wrong + "}"));
    ASSERT_FALSE(refused) << wrong;
    EXPECT_EQ(refused.error().code, Code::invalid_field) << wrong;
  }
}

TEST(TaskCodec, CarriesAnyBytesOfALog) {
  LogsRequest request{"w", "t", 1, 10, {}};
  request.chunks = {{5, "s", "stdout", "plain é\n"}, {6, "s", "stderr", "\xff\xfe\x00z"}};
  const auto read = decode_raw_logs(encode_raw(request));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->chunks.size(), 2U);
  EXPECT_EQ(read->chunks[0].text, request.chunks[0].text);
  EXPECT_EQ(read->chunks[1].text, request.chunks[1].text);
  EXPECT_EQ(read->chunks[1].stream, "stderr");
  EXPECT_EQ(read->offset, 10);
}

TEST(LogsCodec, TakesTextAndBase64AsJson) {
  const auto read = decode_logs_request(
      json(R"({"task_id":"t","fence":1,"chunks":[{"text":"é\n"},{"base64":"//4Aeg=="}]})"));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->chunks.size(), 2U);
  EXPECT_EQ(read->chunks[0].text, "é\n");
  EXPECT_EQ(read->chunks[1].text, std::string("\xff\xfe\0z", 4));
}

TEST(LogsCodec, RefusesSizesThatDoNotAddUp) {
  const std::string head = R"({"task_id":"t","fence":1,"chunks":[{"size":2},{"size":1}]})";
  ASSERT_TRUE(decode_raw_logs(head + "\nabc"));
  for (const std::string& wrong :
       {head + "\nab", head + "\nabcd", head, head + "\n", "abc" + head, std::string(),
        std::string(R"({"task_id":"t","fence":1,"chunks":[{"size":-1}]})"),
        std::string(R"({"task_id":"t","fence":1,"chunks":[{}]})"),
        std::string(R"({"task_id":"t","fence":1,"chunks":[{"size":1,"text":"a"}]})") + "\na"})
    EXPECT_FALSE(decode_raw_logs(wrong)) << wrong;
}
}  // namespace
}  // namespace mc::wire
