// What the control plane finds out about instances, and how soon. Statements P3, P5 and P11 of the reliability page.
#include "tests/support/control_fixture.hpp"
#include "tests/support/patience.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;

class RouterHealthTest : public test::ControlFixture {};

TEST_F(RouterHealthTest, NewInstance_UnknownThenUp_ProbedAtOnce) {
  settings_.health_interval = 1h;
  add("a", engine().port());
  start();
  EXPECT_TRUE(is("a", ProbeVerdict::unknown));
  EXPECT_TRUE(live("a").usable(steady_now())) << "an instance that was just found is given a chance";
  EXPECT_TRUE(run_until([&] { return is("a", ProbeVerdict::up); }));
  EXPECT_EQ(live("a").ramp_began_ns.load(), 0) << "it was never out";
  EXPECT_EQ(engines_[0]->last_request.find("Authorization"), std::string::npos);
}

TEST_F(RouterHealthTest, NothingListens_DownAtFirstProbe_BackWithin1500ms_P11) {
  const auto port = engine().port();
  add("a", port);
  add("other", engine().port());
  start();
  ASSERT_TRUE(run_until([&] { return is("a", ProbeVerdict::up) && is("other", ProbeVerdict::up); }));
  engines_[0]->die();
  ASSERT_TRUE(run_until([&] { return is("a", ProbeVerdict::down); }));
  EXPECT_FALSE(live("a").usable(steady_now()));
  const auto tables = tables_;
  engine(port);
  const TimePoint back = steady_now();
  ASSERT_TRUE(run_until([&] { return is("a", ProbeVerdict::up) && tables_ > tables; }));
  EXPECT_LT(steady_now() - back, test::patience(1500ms));
  EXPECT_NE(live("a").ramp_began_ns.load(), 0) << "slow start: the other one carries the load meanwhile";
  EXPECT_LT(ramp_share(live("a"), settings_.slow_start, steady_now()), 0.2);
}

TEST_F(RouterHealthTest, OnlyInstance_ComesBackAtFullWeight) {
  const auto port = engine().port();
  add("a", port);
  start();
  ASSERT_TRUE(run_until([&] { return is("a", ProbeVerdict::up); }));
  engines_[0]->die();
  ASSERT_TRUE(run_until([&] { return is("a", ProbeVerdict::down); }));
  engine(port);
  ASSERT_TRUE(run_until([&] { return is("a", ProbeVerdict::up); }));
  EXPECT_EQ(live("a").ramp_began_ns.load(), 0);
}

TEST_F(RouterHealthTest, ServerErrors_DownAfterMaxErrors) {
  auto& sick = engine();
  sick.pages["/health"] = {503, "{}"};
  add("a", sick.port());
  start();
  ASSERT_TRUE(run_until([&] { return is("a", ProbeVerdict::down); }));
  EXPECT_EQ(sick.asked["/health"], 3);
}

TEST_F(RouterHealthTest, NoHealthPage_AnyAnswerToModelsBelow500_IsAlive) {
  auto& plain = engine();
  plain.pages = {{"/v1/models", {401, ""}}};
  add("a", plain.port(), {"m"});
  auto& older = engine();
  older.pages = {{"/health", {501, ""}}, {"/v1/models", {500, ""}}, {"/models", {200, "[]"}}};
  add("b", older.port(), {"m"});
  start();
  EXPECT_TRUE(run_until([&] { return is("a", ProbeVerdict::up) && is("b", ProbeVerdict::up); }));
}

TEST_F(RouterHealthTest, HungInstance_FoundInLessThanThreeSeconds_AndBackWhenItAnswers_P5) {
  auto& stuck = engine();
  settings_.health_interval = 1h;
  add("a", stuck.port());
  start();
  ASSERT_TRUE(run_until([&] { return is("a", ProbeVerdict::up); }));
  stuck.hangs = true;
  const TimePoint began = steady_now();
  live("a").last_heard_ns = began.time_since_epoch().count();
  live("a").in_flight = 1;
  ASSERT_TRUE(run_until([&] { return !hung_.empty(); }));
  EXPECT_LT(steady_now() - began, test::patience(3s));
  EXPECT_EQ(hung_, std::vector<UpstreamLive*>{&live("a")});
  EXPECT_TRUE(is("a", ProbeVerdict::hung));
  EXPECT_FALSE(live("a").usable_in_panic());

  live("a").in_flight = 0;
  stuck.hangs = false;
  EXPECT_TRUE(run_until([&] { return is("a", ProbeVerdict::up); }));
  EXPECT_EQ(hung_.size(), 1U);
}

TEST_F(RouterHealthTest, DownBeforeItIsProvedToHang_ItsRequestsAreTakenBackAllTheSame) {
  auto& stuck = engine();
  settings_.health_interval = 50ms;
  settings_.health_timeout = 50ms;
  settings_.hung_silence = 200ms;
  settings_.hung_timeout = 300ms;
  add("a", stuck.port());
  start();
  ASSERT_TRUE(run_until([&] { return is("a", ProbeVerdict::up); }));
  stuck.hangs = true;
  live("a").last_heard_ns = steady_now().time_since_epoch().count();
  live("a").in_flight = 1;
  ASSERT_TRUE(run_until([&] { return is("a", ProbeVerdict::down) || !hung_.empty(); }));
  ASSERT_TRUE(run_until([&] { return !hung_.empty(); }));
  EXPECT_EQ(hung_, std::vector<UpstreamLive*>{&live("a")});

  live("a").in_flight = 0;
  stuck.hangs = false;
  EXPECT_TRUE(run_until([&] { return is("a", ProbeVerdict::up); }));
}

TEST_F(RouterHealthTest, SilentButAnsweringItsProbes_IsNotHung) {
  auto& busy = engine();
  settings_.health_interval = 1h;
  settings_.hung_silence = 50ms;
  settings_.hung_timeout = 300ms;
  add("a", busy.port());
  start();
  ASSERT_TRUE(run_until([&] { return is("a", ProbeVerdict::up); }));
  live("a").last_heard_ns = steady_now().time_since_epoch().count();
  live("a").in_flight = 3;
  ASSERT_TRUE(run_until([&] { return busy.asked["/health"] > 8; })) << "it is asked again and again";
  EXPECT_TRUE(hung_.empty());
  EXPECT_TRUE(is("a", ProbeVerdict::up));
}

TEST_F(RouterHealthTest, BytesWhileAsked_ProveLife) {
  auto& stuck = engine();
  settings_.health_interval = 1h;
  settings_.hung_silence = 50ms;
  settings_.hung_timeout = 200ms;
  add("a", stuck.port());
  start();
  ASSERT_TRUE(run_until([&] { return is("a", ProbeVerdict::up); }));
  stuck.hangs = true;
  live("a").in_flight = 1;
  const auto speak = [&] { live("a").last_heard_ns = steady_now().time_since_epoch().count(); };
  speak();
  const int before = stuck.asked["/health"];
  // Speaks only after each probe was sent: the first of the two is always in vain.
  int seen = before;
  ASSERT_TRUE(run_until([&] {
    if (stuck.asked["/health"] != seen) {
      seen = stuck.asked["/health"];
      speak();
    }
    return seen >= before + 4;
  }));
  EXPECT_TRUE(hung_.empty());
}

TEST_F(RouterHealthTest, EjectedForARefusedConnection_BackByAGoodProbe_P3) {
  settings_.health_interval = 1h;
  add("a", engine().port());
  add("b", engine().port());
  start();
  ASSERT_TRUE(run_until([&] { return is("a", ProbeVerdict::up) && is("b", ProbeVerdict::up); }));
  auto& a = live("a");
  ASSERT_TRUE(outliers_.failed(upstream("a").live, upstream("a").spec, FailureReason::upstream_connect_failed,
                               steady_now(), {1h, 1h}, 0));
  ASSERT_FALSE(a.usable(steady_now()));
  const auto tables = tables_;
  control_->health_changed(upstream("a").live);
  ASSERT_TRUE(run_until([&] { return a.usable(steady_now()) && tables_ > tables; }));
  EXPECT_NE(a.ramp_began_ns.load(), 0);
}

TEST_F(RouterHealthTest, EjectionThatEnds_TableAnewAndSlowStart) {
  settings_.health_interval = 1h;
  add("a", engine().port());
  add("b", engine().port());
  start();
  ASSERT_TRUE(run_until([&] { return is("a", ProbeVerdict::up) && is("b", ProbeVerdict::up); }));
  live("a").ejected_until_ns = (steady_now() + 400ms).time_since_epoch().count();
  control_->health_changed(upstream("a").live);
  ASSERT_TRUE(run_until([&] { return live("a").usable(steady_now()) && live("a").ramp_began_ns != 0; }));
  const auto tables = tables_;
  EXPECT_TRUE(run_until([&] { return tables_ > tables && table_->ramping(); })) << "weights follow the ramp";
}

TEST_F(RouterHealthTest, OwnAddress_RefusedAsUpstream) {
  auto& self = engine();
  add("self", self.port());
  add("other", engine().port());
  start(self.port());
  EXPECT_TRUE(upstream("self").addresses.empty());
  EXPECT_TRUE(is("self", ProbeVerdict::down));
  ASSERT_TRUE(run_until([&] { return is("other", ProbeVerdict::up); }));
  EXPECT_NE(get("/stats").body.find("is this router itself"), std::string::npos);
  EXPECT_TRUE(self.asked.empty());
}

TEST_F(RouterHealthTest, AddressPolicy_AppliesToNumericAddresses) {
  settings_.address_policy.allow = {*Cidr::parse("10.0.0.0/8")};
  add("a", engine().port());
  start();
  EXPECT_TRUE(is("a", ProbeVerdict::down));
  EXPECT_TRUE(upstream("a").addresses.empty());
}

TEST_F(RouterHealthTest, Name_ResolvedInTheBackground) {
  add("a", engine().port()).endpoint.host = "localhost";
  start();
  EXPECT_FALSE(live("a").usable(steady_now())) << "no address yet";
  ASSERT_TRUE(run_until([&] { return is("a", ProbeVerdict::up); }));
  EXPECT_FALSE(upstream("a").addresses.empty());
}

TEST_F(RouterHealthTest, NameThatDoesNotExist_DownWithReason) {
  add("a", 1234).endpoint.host = "no-such-host.invalid";
  start();
  EXPECT_TRUE(run_until([&] { return get("/stats").body.find("cannot be resolved") != std::string::npos; }));
  EXPECT_TRUE(is("a", ProbeVerdict::down));
}

TEST_F(RouterHealthTest, ModelsNotStated_AreLearned) {
  auto& rust = engine();
  rust.pages["/models"] = {200, R"({"data":[{"id":"qwen"}]})"};
  add("a", rust.port());
  add("b", engine().port(), {"other"});
  start();
  EXPECT_TRUE(run_until([&] { return upstream("a").spec.models == std::vector<std::string>{"qwen"}; }));
  ASSERT_NE(table_->find("qwen"), nullptr);
  EXPECT_EQ(table_->find("qwen")->primaries.size(), 1U);
}

TEST_F(RouterHealthTest, Reload_StaticServicesComeAndGo) {
  add("a", engine().port());
  start();
  ASSERT_TRUE(run_until([&] { return is("a", ProbeVerdict::up); }));
  auto* kept = &live("a");
  add("b", engine().port());
  ASSERT_TRUE(control_->reload(settings_).has_value());
  ASSERT_TRUE(run_until([&] { return table_->upstreams().size() == 2 && is("b", ProbeVerdict::up); }));
  EXPECT_EQ(&live("a"), kept) << "unchanged ones keep their counters and verdict";
  EXPECT_TRUE(is("a", ProbeVerdict::up));
  settings_.static_upstreams.erase(settings_.static_upstreams.begin());
  settings_.registry_token_file = "/nonexistent/token";
  EXPECT_FALSE(control_->reload(settings_).has_value());
  settings_.registry_token_file = "";
  ASSERT_TRUE(control_->reload(settings_).has_value());
  EXPECT_TRUE(run_until([&] { return table_->upstreams().size() == 1; }));
}

}  // namespace
}  // namespace svc::router
