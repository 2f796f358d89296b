#include "kube/objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "kube/verdict.h"

namespace mc::kube {
namespace {
using testing::HasSubstr;
using testing::Not;

const JobPlan kPlan{.name = "maestro-1",
                    .namespace_name = "jobs",
                    .worker = "w",
                    .server = "s",
                    .run = "r",
                    .job = "build",
                    .task_id = "t.1.1",
                    .fence = 7,
                    .image = "debian:12",
                    .maestro_image = "maestro:1",
                    .deadline_s = 60,
                    .resources = {.cpu = "500m", .memory = "1Gi"}};

Value json(const std::string& text) {
  auto value = parse_json(text);
  EXPECT_TRUE(value.ok()) << text;
  return value.ok() ? *value : Value();
}

TEST(JobObject, BeginsSuspendedIsBoundedAndRestricted) {
  const std::string text = to_json(job_object(kPlan));
  for (const char* wanted :
       {R"("suspend":true)", R"("backoffLimit":0)", R"("activeDeadlineSeconds":60)",
        R"("restartPolicy":"Never")", R"("automountServiceAccountToken":false)",
        R"("runAsNonRoot":true)", R"("allowPrivilegeEscalation":false)", R"("drop":["ALL"])",
        R"("type":"RuntimeDefault")", R"("requests":{"cpu":"500m","memory":"1Gi"})",
        R"("limits":{"memory":"1Gi"})", R"("maestro.dev/fence":"7")"}) {
    EXPECT_THAT(text, HasSubstr(wanted));
  }
}

// The job's container never sees the Secret itself.
TEST(JobObject, OnlyTheInitContainerMountsTheSecret) {
  const Value job = job_object(kPlan);
  const Value* pod = job.find("spec")->find("template")->find("spec");
  EXPECT_THAT(to_json(*pod->find("initContainers")), HasSubstr(kSecret));
  EXPECT_THAT(to_json(*pod->find("containers")), Not(HasSubstr(kSecret)));
}

TEST(SecretObject, IsOwnedByTheJob) {
  const std::string text = to_json(secret_object(kPlan, "uid-1", "{\"a\":1}"));
  EXPECT_THAT(text, HasSubstr(R"("uid":"uid-1")"));
  EXPECT_THAT(text, HasSubstr(R"("stringData":{"task.json":"{\"a\":1}"})"));
}

TEST(JobName, IsTheSameForTheSameGrantOnly) {
  EXPECT_EQ(job_name("a.1.1", 3), job_name("a.1.1", 3));
  EXPECT_NE(job_name("a.1.1", 3), job_name("a.1.1", 4));
  EXPECT_NE(job_name("a.1.1", 3), job_name("a.1.2", 3));
  EXPECT_LE(job_name("a", 1).size(), 63U - 6U);
}

TEST(LabelValue, TakesWhatKubernetesTakes) {
  EXPECT_EQ(label_value("test (unit, x)"), "test__unit__x");
  EXPECT_EQ(label_value("-a-"), "a");
  EXPECT_EQ(label_value("//"), "");
  EXPECT_EQ(label_value(std::string(80, 'a')).size(), 63U);
}

TEST(Quantity, IsWhatKubernetesTakes) {
  for (const char* good : {"1", "0.5", "500m", "512Mi", "2Gi", "4k"})
    EXPECT_TRUE(is_quantity(good)) << good;
  for (const char* bad : {"", "0", "m", "-1", "1GB", "1.2.3", "1 Gi", ".5", "1.", "1e3"})
    EXPECT_FALSE(is_quantity(bad)) << bad;
}

struct Row {
  const char* job;
  const char* pod;
  Stage stage;
  Cause cause;
  const char* message;
};

TEST(Verdict, ReadsJobAndPod) {
  const char* open = R"({"spec":{"suspend":false}})";
  const char* failed = R"({"status":{"conditions":[{"type":"Failed","status":"True",)"
                       R"("reason":"BackoffLimitExceeded",)"
                       R"("message":"limit"}]}})";
  const Row rows[] = {
      {R"({"spec":{"suspend":true}})", "null", Stage::suspended, Cause::none, ""},
      {open, "null", Stage::waiting, Cause::none, ""},
      {open,
       R"({"status":{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False",)"
       R"("reason":"Unschedulable","message":"0/1 nodes"}]}})",
       Stage::waiting, Cause::none, "Unschedulable: 0/1 nodes"},
      {open,
       R"({"status":{"phase":"Pending","containerStatuses":[{"name":"job","image":"x:1","state":)"
       R"({"waiting":{"reason":"ImagePullBackOff","message":"denied"}}}]}})",
       Stage::blocked, Cause::none, "container job (image x:1): ImagePullBackOff: denied"},
      {open,
       R"({"status":{"phase":"Pending","containerStatuses":[{"name":"job","state":)"
       R"({"waiting":{"reason":"ContainerCreating"}}}]}})",
       Stage::waiting, Cause::none, ""},
      {open, R"({"status":{"phase":"Running"}})", Stage::running, Cause::none, ""},
      {R"({"status":{"conditions":[{"type":"Complete","status":"True"}]}})", "null", Stage::ended,
       Cause::finished, ""},
      {R"({"status":{"conditions":[{"type":"Failed","status":"True",)"
       R"("reason":"DeadlineExceeded"}]}})",
       "null", Stage::ended, Cause::deadline, "DeadlineExceeded"},
      {failed,
       R"({"status":{"phase":"Failed","containerStatuses":[{"name":"job","state":{"terminated":)"
       R"({"exitCode":137,"reason":"OOMKilled"}}}]}})",
       Stage::ended, Cause::memory, "container job ended with exit code 137 (OOMKilled)"},
      {failed,
       R"({"status":{"phase":"Failed","containerStatuses":[{"name":"job","state":{"terminated":)"
       R"({"exitCode":1,"reason":"Error","message":"no loader"}}}]}})",
       Stage::ended, Cause::failed, "container job ended with exit code 1 (Error: no loader)"},
      {failed, R"({"status":{"phase":"Failed","reason":"Evicted","message":"disk"}})", Stage::ended,
       Cause::disrupted, "Evicted: disk"},
      {failed,
       R"({"status":{"phase":"Failed","conditions":[{"type":"DisruptionTarget","status":"True",)"
       R"("reason":"PreemptionByScheduler"}]}})",
       Stage::ended, Cause::disrupted, "PreemptionByScheduler"},
      {failed, "null", Stage::ended, Cause::disrupted, "its pod was deleted"},
      {"null", R"({"status":{"phase":"Running"}})", Stage::gone, Cause::none,
       "its Job was deleted"},
  };
  for (const Row& row : rows) {
    const Value job = json(row.job);
    const Value pod = json(row.pod);
    const Verdict verdict = judge(job.is_null() ? nullptr : &job, pod.is_null() ? nullptr : &pod);
    EXPECT_EQ(verdict.stage, row.stage) << row.job << row.pod;
    EXPECT_EQ(verdict.cause, row.cause) << row.job << row.pod;
    EXPECT_EQ(verdict.message, row.message);
    // Only that nothing is known of a pod may change with what is heard next.
    EXPECT_EQ(verdict.certain, verdict.message != "its pod was deleted") << row.job << row.pod;
  }
}

}  // namespace
}  // namespace mc::kube
