// What a client sees, over the whole server without a socket.
#include <gmock/gmock.h>

#include <set>

#include "api/rig_test.h"
#include "auth/signature.h"

namespace mc::api {
namespace {
using testing::HasSubstr;

TEST_F(ApiRig, ProbesNeedNoTokenAndEverythingElseDoes) {
  for (const char* path :
       {"/healthz", "/readyz", "/health", "/api/health", "/api/ready", "/metrics"})
    EXPECT_EQ(call("GET", path, "", "none").status, 200) << path;
  for (const char* path :
       {"/api/v1/runs", "/api/v1/me", "/api/v1/openapi.json", "/api/v1/nothing"}) {
    const auto refused = call("GET", path, "", "none");
    EXPECT_EQ(refused.status, 401) << path;
    EXPECT_EQ(code(refused), "unauthenticated");
    EXPECT_THAT(header(refused, "WWW-Authenticate"), HasSubstr("Bearer"));
  }
  EXPECT_EQ(call("GET", "/api/v1/me", "", "mst_wrong").status, 401);
  EXPECT_EQ(call("GET", "/api/v1/nothing").status, 404);
  EXPECT_EQ(call("GET", "/nothing", "", "none").status, 404);
}

TEST_F(ApiRig, RolesMayDoWhatTheyMay) {
  EXPECT_EQ(call("GET", "/api/v1/runs", "", viewer).status, 200);
  EXPECT_EQ(call("POST", "/api/v1/runs", "{}", viewer).status, 403);
  EXPECT_EQ(call("POST", "/api/v1/tokens", "{}", operator_token).status, 403);
  EXPECT_EQ(call("GET", "/api/v1/runs", "", worker).status, 403);
  EXPECT_EQ(call("POST", "/api/v1/worker/poll", "{}", viewer).status, 403);
  const auto me = call("GET", "/api/v1/me", "", viewer);
  EXPECT_EQ(json(me).string_or("name", ""), "eve");
  EXPECT_EQ(json(me).string_or("role", ""), "viewer");
}

TEST_F(ApiRig, RefusesByMethodTypeAndSyntax) {
  const auto method = call("PATCH", "/api/v1/runs");
  EXPECT_EQ(method.status, 405);
  EXPECT_THAT(header(method, "Allow"), HasSubstr("POST"));
  EXPECT_EQ(call("POST", "/api/v1/runs", "a=b", "admin",
                 {{"Content-Type", "application/x-www-form-urlencoded"}})
                .status,
            415);
  EXPECT_EQ(
      call("POST", "/api/v1/runs", "{", "admin", {{"Content-Type", "application/json"}}).status,
      400);
  EXPECT_EQ(code(call("POST", "/api/v1/runs", "{}")), "missing_field");
  EXPECT_EQ(code(call("POST", "/api/v1/runs", R"({"workflwo":"ci"})")), "unknown_field");
  EXPECT_EQ(code(call("POST", "/api/v1/runs", R"({"workflow":"none"})")), "workflow_not_found");
  const auto bad = call("POST", "/api/v1/runs", R"({"definition":"jobs: {a: {stepz: []}}"})");
  EXPECT_EQ(bad.status, 422);
  EXPECT_EQ(code(bad), "invalid_definition");
  ASSERT_NE(json(bad).find("errors"), nullptr);
  EXPECT_GT(json(bad).find("errors")->as_list()[0].int_or("line", 0), 0);
  EXPECT_EQ(json(bad).string_or("request_id", ""), "r1");
  for (const char* id : {"7", "0193d1f0-0000-7000-8000-000000000000"})
    EXPECT_EQ(code(call("GET", std::string("/api/v1/runs/") + id)), "run_not_found");
  EXPECT_EQ(call("GET", "/api/v1/runs?limit=101").status, 422);
  EXPECT_EQ(call("GET", "/api/v1/runs?cursor=zzz").status, 400);
  EXPECT_EQ(code(call("GET", "/api/v1/runs?q=statsu:failed")), "invalid_query");
}

// A refusal that needs only the head must not wait for the body.
TEST_F(ApiRig, TheHeadAloneDecides) {
  const auto admit = [this](const std::string& token, const std::string& type) {
    http::Request head{.method = "POST"};
    EXPECT_TRUE(http::read_target("/api/v1/runs", head).ok());
    head.headers = {{"Content-Length", "5"}, {"Content-Type", type}};
    if (!token.empty()) head.headers.push_back({"Authorization", "bearer " + token});
    const http::Admission admission = api->admit(head);
    return admission.refusal ? admission.refusal->status : 0;
  };
  EXPECT_EQ(admit("", "application/json"), 401);
  EXPECT_EQ(admit(viewer, "application/json"), 403);
  EXPECT_EQ(admit(admin, "text/plain"), 415);
  EXPECT_EQ(admit(admin, "application/json; charset=latin1"), 415);
  EXPECT_EQ(admit(admin, "application/json; charset=UTF-8"), 0);
}

TEST_F(ApiRig, ARunFromStartToDelete) {
  const std::string id = start(kOneJob);
  const std::string path = "/api/v1/runs/" + id;
  EXPECT_EQ(code(call("DELETE", path)), "run_not_final");
  const Value task = take_task();
  EXPECT_EQ(json(call("GET", path)).string_or("status", ""), "running");
  const auto sent =
      call("POST", "/api/v1/worker/logs",
           R"({"worker_id":")" + worker_id + R"(","task_id":")" + task.string_or("task_id", "") +
               R"(","fence":)" + std::to_string(task.int_or("fence", 0)) +
               R"(,"offset":0,"chunks":[{"t":1000,"step":"1","stream":"stdout",)"
               R"("text":"one\ntwo\n"},{"t":2000,"step":"2","stream":"stderr",)"
               R"("text":"three\n"}]})",
           worker);
  EXPECT_EQ(sent.body, R"({"next_offset":14})");
  EXPECT_EQ(complete(task).status, 200);
  const auto waited = call("GET", path + "?wait=20s");
  EXPECT_EQ(json(waited).string_or("status", ""), "succeeded") << waited.body;
  EXPECT_EQ(call("GET", path, "", "admin", {{"If-None-Match", header(waited, "ETag")}}).status,
            304);
  EXPECT_EQ(call("DELETE", path, "", "admin", {{"If-Match", "\"0\""}}).status, 412);
  EXPECT_EQ(code(call("POST", path + "/cancel", "{}")), "run_final");

  const std::string logs = path + "/jobs/a/logs";
  const auto whole = call("GET", logs);
  ASSERT_TRUE(whole.file.has_value());
  EXPECT_EQ(whole.file->length, 14);
  const auto part = call("GET", logs, "", "admin", {{"Range", "bytes=4-6"}});
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(header(part, "Content-Range"), "bytes 4-6/14");
  EXPECT_EQ(call("GET", logs, "", "admin", {{"Range", "bytes=14-"}}).status, 416);
  EXPECT_EQ(call("GET", logs + "?tail=1").body, "three\n");
  EXPECT_EQ(call("GET", logs + "?step=1").body, "one\ntwo\n");
  EXPECT_EQ(call("GET", logs, "", "admin", {{"Accept", "application/x-ndjson"}}).body,
            "{\"t\":\"1970-01-01T00:00:01.000Z\",\"step\":\"1\",\"stream\":\"stdout\","
            "\"text\":\"one\\ntwo\\n\"}\n"
            "{\"t\":\"1970-01-01T00:00:02.000Z\",\"step\":\"2\",\"stream\":\"stderr\","
            "\"text\":\"three\\n\"}\n");
  EXPECT_EQ(call("GET", path + "/jobs/b/logs").status, 404);
  EXPECT_EQ(call("GET", path + "/jobs/a/logs?attempt=9").status, 404);

  EXPECT_THAT(call("GET", "/api/v1/runs?q=status:succeeded").body, HasSubstr(id));
  EXPECT_THAT(call("GET", "/api/v1/runs?q=status:failed").body, testing::Not(HasSubstr(id)));
  EXPECT_EQ(call("DELETE", path).status, 204);
  EXPECT_EQ(call("GET", path).status, 404);
  EXPECT_THAT(call("GET", "/api/v1/runs").body, testing::Not(HasSubstr(id)));
}

// What the document says of `why` is what comes.
TEST_F(ApiRig, WhyNamesWhoLiftsAWait) {
  const auto run = call("POST", "/api/v1/runs", R"({"definition":"jobs: {a: {approve: {}}}"})");
  const std::string path = "/api/v1/runs/" + json(run).string_or("id", "") + "/why";
  const Value answer = json(call("GET", path, "", viewer));
  const Value& item = answer.find("items")->as_list().at(0);
  EXPECT_TRUE(parse_rfc3339(item.string_or("since", "")).has_value());
  EXPECT_EQ(item.find("lifted_by")->as_list().at(0).string_or("name", ""), "role:operator");
  EXPECT_TRUE(item.find("estimate")->is_null()) << "it never ran before";
  const Value document = *parse_json(openapi_json("1"));
  const Value* schema = &document;
  for (const char* name : {"components", "schemas", "Why", "properties", "items", "items"})
    schema = schema->find(name);
  for (const Value& field : schema->find("required")->as_list())
    EXPECT_NE(item.find(field.as_string()), nullptr) << field.as_string();
  EXPECT_EQ(item.as_object().size(), schema->find("properties")->as_object().size());
}

TEST_F(ApiRig, ListsPageByPageWithoutGapOrRepeat) {
  std::vector<std::string> made;
  for (int i = 0; i < 7; ++i) made.insert(made.begin(), start(kOneJob));
  std::vector<std::string> seen;
  std::string cursor;
  do {
    const Value page = json(call("GET", "/api/v1/runs?limit=3&cursor=" + cursor));
    for (const Value& run : page.find("items")->as_list()) seen.push_back(run.string_or("id", ""));
    cursor = page.string_or("next_cursor", "");
  } while (!cursor.empty());
  EXPECT_EQ(seen, made);
}

TEST_F(ApiRig, TheSameKeyGivesTheFirstAnswer) {
  const std::string body = to_json(Value(Object{{"definition", kOneJob}}));
  const Headers keyed = {{"Idempotency-Key", "k1"}};
  const auto first = call("POST", "/api/v1/runs", body, "admin", keyed);
  EXPECT_EQ(first.status, 201);
  EXPECT_THAT(header(first, "Location"), HasSubstr(json(first).string_or("id", "?")));
  const auto second = call("POST", "/api/v1/runs", body, "admin", keyed);
  EXPECT_EQ(second.status, 201);
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(header(second, "Idempotency-Replayed"), "true");
  EXPECT_EQ(header(second, "Location"), header(first, "Location"));
  EXPECT_EQ(code(call("POST", "/api/v1/runs", body + " ", "admin", keyed)),
            "idempotency_key_reused");
  EXPECT_EQ(json(call("POST", "/api/v1/runs", body, operator_token, keyed)).int_or("number", 0), 2)
      << "keys belong to a token";
  EXPECT_EQ(call("POST", "/api/v1/runs", body, "admin", {{"Idempotency-Key", "a b"}}).status, 422);
}

TEST_F(ApiRig, TokensAreShownOnceAndRevokedAtOnce) {
  const Headers keyed = {{"Idempotency-Key", "t1"}};
  const std::string body = R"({"name":"ci","role":"operator"})";
  const auto made = call("POST", "/api/v1/tokens", body, "admin", keyed);
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string secret = json(made).string_or("secret", "");
  EXPECT_EQ(call("POST", "/api/v1/tokens", body, "admin", keyed).body, made.body);
  EXPECT_EQ(code(call("POST", "/api/v1/tokens", R"({"name":"x","role":"viewer"})", "admin", keyed)),
            "idempotency_key_reused");
  EXPECT_EQ(json(call("GET", "/api/v1/me", "", secret)).string_or("name", ""), "ci");
  EXPECT_THAT(call("GET", "/api/v1/tokens").body, testing::Not(HasSubstr(secret)));
  const std::vector<db::Record> kept = *store->list_records("token", "", "", 100);
  for (const db::Record& record : kept) EXPECT_THAT(record.json, testing::Not(HasSubstr(secret)));
  const std::string id = json(made).string_or("id", "");
  EXPECT_EQ(call("DELETE", "/api/v1/tokens/" + id).status, 204);
  EXPECT_EQ(call("GET", "/api/v1/me", "", secret).status, 401);
  EXPECT_EQ(call("DELETE", "/api/v1/tokens/" + id).status, 404);
  EXPECT_EQ(code(call("POST", "/api/v1/tokens", R"({"name":"x","role":"root"})")), "invalid_field");
}

TEST_F(ApiRig, TokensOutliveARestartAndExpire) {
  const std::string gone =
      *issue_token(*store, "old", auth::Role::viewer, "default", now(), now() - Millis(1));
  close();
  open({});
  EXPECT_EQ(call("GET", "/api/v1/me", "", viewer).status, 200);
  EXPECT_EQ(code(call("GET", "/api/v1/me", "", gone)), "token_expired");
}

TEST_F(ApiRig, ProjectsDoNotSeeEachOther) {
  const auto made =
      call("POST", "/api/v1/tokens", R"({"name":"o","role":"admin","project":"other"})");
  const std::string other = json(made).string_or("secret", "");
  const std::string id = start(kOneJob);
  EXPECT_EQ(call("GET", "/api/v1/runs/" + id, "", other).status, 404);
  EXPECT_EQ(json(call("GET", "/api/v1/runs", "", other)).find("items")->as_list().size(), 0U);
  EXPECT_EQ(call("POST", "/api/v1/runs/" + id + "/cancel", "{}", other).status, 404);
  EXPECT_EQ(
      call("POST", "/api/v1/tokens", R"({"name":"x","role":"admin","project":"default"})", other)
          .status,
      403);
}

TEST_F(ApiRig, SecretsGoInAndNeverComeOut) {
  EXPECT_EQ(call("PUT", "/api/v1/secrets/DB", R"({"value":"hunter2"})").status, 201);
  EXPECT_EQ(call("PUT", "/api/v1/secrets/DB", R"({"value":"hunter3"})").status, 200);
  EXPECT_EQ(secrets->value("default", "DB"), "hunter3");
  const auto list = call("GET", "/api/v1/secrets");
  EXPECT_THAT(list.body, HasSubstr("\"DB\""));
  EXPECT_THAT(list.body, testing::Not(HasSubstr("hunter")));
  const std::vector<db::Record> kept = *store->list_records("secret", "", "", 100);
  for (const db::Record& record : kept) EXPECT_THAT(record.json, testing::Not(HasSubstr("hunter")));
  close();
  open({});
  EXPECT_EQ(secrets->value("default", "DB"), "hunter3");
  EXPECT_EQ(call("DELETE", "/api/v1/secrets/DB").status, 204);
  EXPECT_EQ(secrets->value("default", "DB"), std::nullopt);
  EXPECT_EQ(call("PUT", "/api/v1/secrets/a%20b", R"({"value":"x"})").status, 422);
  EXPECT_EQ(call("PUT", "/api/v1/vars/REGION", R"({"value":"eu"})").status, 201);
  EXPECT_EQ(json(call("GET", "/api/v1/variables/REGION")).string_or("value", ""), "eu");
}

TEST_F(ApiRig, WorkflowsKeepTheirHistory) {
  const auto put = [this](const std::string& text) {
    return call("PUT", "/api/v1/workflows/one", text, "admin",
                {{"Content-Type", "application/yaml"}});
  };
  const auto first = put(kOneJob);
  EXPECT_EQ(first.status, 201) << first.body;
  EXPECT_EQ(put(kOneJob).status, 200);
  const auto second = put(std::string(kOneJob) + "  b: {needs: a, steps: [{run: 'true'}]}\n");
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(json(second).int_or("version", 0), 2);
  const Value one = json(call("GET", "/api/v1/workflows/one"));
  EXPECT_THAT(one.string_or("definition", ""), HasSubstr("needs: a"));
  EXPECT_EQ(one.find("graph")->find("edges")->as_list().size(), 1U);
  EXPECT_EQ(json(call("GET", "/api/v1/workflows/one?version=1")).string_or("definition", ""),
            kOneJob);
  const Value history = json(call("GET", "/api/v1/workflows/one/versions"));
  ASSERT_EQ(history.find("items")->as_list().size(), 2U);
  EXPECT_EQ(history.find("items")->as_list()[0].int_or("version", 0), 2);
  EXPECT_THAT(call("GET", "/api/v1/workflows").body, HasSubstr("\"one\""));
  EXPECT_EQ(put("jobs: {}").status, 422);
  const Value checked = json(call("POST", "/api/v1/workflows/validate", "jobs: {}"));
  EXPECT_FALSE(checked.bool_or("valid", true));
  EXPECT_EQ(call("DELETE", "/api/v1/workflows/one").status, 204);
  EXPECT_EQ(call("GET", "/api/v1/workflows/one").status, 404);
}

TEST_F(ApiRig, HooksStartRunsOfTheSignedOnce) {
  const std::string definition = std::string("on: {webhook: {}}\n") + kOneJob;
  ASSERT_EQ(call("PUT", "/api/v1/workflows/one", definition).status, 201);
  ASSERT_EQ(call("PUT", "/api/v1/secrets/webhook_one", R"({"value":"s3cret"})").status, 201);
  const std::string body = R"({"action":"opened"})";
  const Headers good = {{"X-Hub-Signature-256", "sha256=" + auth::hmac_sha256_hex("s3cret", body)},
                        {"X-GitHub-Delivery", "d1"}};
  const auto first = call("POST", "/api/v1/hooks/one", body, "none", good);
  EXPECT_EQ(first.status, 202) << first.body;
  EXPECT_EQ(call("POST", "/api/v1/hooks/one", body, "none", good).body, first.body);
  EXPECT_EQ(json(call("GET", "/api/v1/runs")).find("items")->as_list().size(), 1U);
  EXPECT_EQ(call("POST", "/api/v1/hooks/one", body + " ", "none", good).status, 401);
  EXPECT_EQ(call("POST", "/api/v1/hooks/one", body, "none").status, 401);
  EXPECT_EQ(call("POST", "/api/v1/hooks/two", body, "none", good).status, 401);
}

TEST_F(ApiRig, GitHubStartsTheWorkflowsThatTakeItsEvent) {
  const auto store = [&](const char* name, const std::string& on) {
    EXPECT_EQ(call("PUT", std::string("/api/v1/workflows/") + name, on + "\n" + kOneJob).status,
              201);
  };
  store("every", "on: push");
  store("main-only", "on: {push: {branches: [main], paths: ['server/**']}}");
  store("review", "on: {pull_request: {branches: [main]}}");
  store("by-hand", "on: {webhook: {}}");
  ASSERT_EQ(call("PUT", "/api/v1/secrets/github_webhook", R"({"value":"s3cret"})").status, 201);
  int deliveries = 0;
  const auto send = [&](const char* type, const std::string& body, const char* secret = "s3cret") {
    return call("POST", "/api/v1/webhooks/github", body, "none",
                {{"X-Hub-Signature-256", "sha256=" + auth::hmac_sha256_hex(secret, body)},
                 {"X-GitHub-Event", type},
                 {"X-GitHub-Delivery", "d" + std::to_string(++deliveries)}});
  };
  const auto started = [&](const char* type, const std::string& body) {
    const auto answer = send(type, body);
    EXPECT_EQ(answer.status, 202) << answer.body;
    std::set<std::string> names;
    const Value shown = json(answer);
    for (const Value& run : shown.find("started")->as_list())
      names.insert(run.string_or("workflow", ""));
    return names;
  };
  using Names = std::set<std::string>;
  const std::string tail = R"("after":"abc","sender":{"login":"ada"},)"
                           R"("repository":{"clone_url":"https://example.test/r.git"}})";
  EXPECT_EQ(
      started("push", R"({"ref":"refs/heads/main","commits":[{"added":["server/a"]}],)" + tail),
      (Names{"every", "main-only"}));
  const Value run =
      json(call("GET", "/api/v1/runs?q=workflow:main-only")).find("items")->as_list()[0];
  EXPECT_EQ(run.string_or("commit", ""), "abc");
  EXPECT_EQ(run.string_or("ref", ""), "refs/heads/main");
  EXPECT_EQ(run.string_or("repository", ""), "https://example.test/r.git");
  EXPECT_EQ(run.string_or("actor", ""), "github:ada");
  EXPECT_EQ(started("push", R"({"ref":"refs/heads/main","commits":[{"added":["docs/a"]}],)" + tail),
            Names{"every"});
  EXPECT_EQ(started("push", R"({"ref":"refs/tags/v1",)" + tail), Names{"every"});
  EXPECT_EQ(started("push", R"({"ref":"refs/heads/main","deleted":true,)" + tail), Names{});
  const auto pull = [&](const std::string& head) {
    return R"({"action":"opened","number":7,"pull_request":{"head":{"sha":"def","repo":)"
           R"({"full_name":")" +
           head + R"("}},"base":{"ref":"main","repo":{"full_name":"o/r"}}},)" + tail;
  };
  EXPECT_EQ(started("pull_request", pull("o/r")), Names{"review"});
  EXPECT_EQ(started("pull_request", pull("stranger/r")), Names{}) << "a fork sees no secrets";
  EXPECT_EQ(started("ping", "{}"), Names{});
  EXPECT_EQ(send("push", "{}", "wrong").status, 401);
  EXPECT_EQ(send("push", "[1]").status, 400);
}

TEST_F(ApiRig, TooManyRequestsOfATokenAreRefused) {
  close();
  open({.rate_limit = {.per_second = 0.001, .burst = 2}});
  EXPECT_EQ(call("GET", "/api/v1/me", "", viewer).status, 200);
  EXPECT_EQ(call("GET", "/api/v1/me", "", viewer).status, 200);
  const auto refused = call("GET", "/api/v1/me", "", viewer);
  EXPECT_EQ(refused.status, 429);
  EXPECT_FALSE(header(refused, "Retry-After").empty());
  EXPECT_EQ(call("GET", "/api/v1/me").status, 200) << "another token";
  EXPECT_EQ(call("GET", "/healthz", "", "none").status, 200);
}

TEST_F(ApiRig, RedisIsShownAndNeverMakesTheServerUnready) {
  EXPECT_EQ(call("GET", "/readyz", "", "none").body, "{\"status\":\"ready\"}");
  close();
  open({.redis_state = [] { return "away: it sleeps"; },
        .redis_metrics = [] { return "maestro_redis_up 0\n"; }});
  const auto ready = call("GET", "/readyz", "", "none");
  EXPECT_EQ(ready.status, 200);
  EXPECT_EQ(ready.body, "{\"status\":\"ready\",\"checks\":{\"redis\":\"away: it sleeps\"}}");
  EXPECT_THAT(call("GET", "/metrics", "", "none").body, HasSubstr("\nmaestro_redis_up 0\n"));
}

TEST_F(ApiRig, MetricsCountByRouteAndStatus) {
  call("GET", "/api/v1/runs/7");
  const std::string text = call("GET", "/metrics", "", "none").body;
  EXPECT_THAT(text, HasSubstr("http_requests_total{method=\"GET\",route=\"/api/v1/runs/{id}\","
                              "status=\"404\"} 1"));
  EXPECT_THAT(text, HasSubstr("maestro_runs_open 0"));
  EXPECT_THAT(text, HasSubstr("process_resident_memory_bytes"));
}

}  // namespace
}  // namespace mc::api
