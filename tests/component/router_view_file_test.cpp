#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <iterator>
#include <thread>

#include "common/io/log.hpp"
#include "router/core/fleet.hpp"
#include "router/io/view_file.hpp"
#include "tests/support/temp_folder.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;

constexpr const char* kRegistry = "http://r:8081";

class RouterViewFileTest : public ::testing::Test {
 public:
  RouterViewFileTest() {
    UpstreamSpec spec;
    spec.name = "a";
    spec.endpoint = {"10.0.0.1", 5001};
    spec.url = "http://10.0.0.1:5001";
    fleet_.apply_list({spec}, false, false, TimePoint{1h});
  }
  std::string state_dir() const { return folder_.path("state"); }
  std::string file() const { return folder_.path("state/router_view.json"); }
  void save() {
    ViewFile view(state_dir(), kRegistry);
    view.mark_changed();
    view.stop(fleet_);
  }
  void set_time(std::time_t seconds) const {
    const ::timespec times[2] = {{seconds, 0}, {seconds, 0}};
    EXPECT_EQ(::utimensat(AT_FDCWD, file().c_str(), times, 0), 0);
  }

  test::TempFolder folder_;
  Fleet fleet_{FleetSettings{}};
};

TEST_F(RouterViewFileTest, SavedAndLoaded) {
  save();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(state_dir()), std::filesystem::directory_iterator()), 1)
      << "no partial file is left";
  const auto loaded = ViewFile(state_dir(), kRegistry).load();
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->specs, fleet_.registry_specs());
  EXPECT_LT(loaded->age, 1min);
}

TEST_F(RouterViewFileTest, TwoRoutersInOneFolder_EachKeepsItsViewAndWhatIsReadIsAlwaysWhole) {
  save();
  std::atomic<int> errors{0};
  set_log_tap([&errors](LogLevel level, std::string_view, std::string_view) { errors += level >= LogLevel::error; });
  std::atomic<int> writing{2};
  const auto write = [&](std::size_t services) {
    Fleet fleet{FleetSettings{}};
    std::vector<UpstreamSpec> specs(services);
    for (std::size_t i = 0; i < services; ++i) {
      specs[i].name = "s" + std::to_string(i);
      specs[i].endpoint = {"10.0.0.1", 5001};
      specs[i].url = "http://10.0.0.1:5001";
    }
    fleet.apply_list(std::move(specs), false, false, TimePoint{1h});
    for (int i = 0; i < 10; ++i) {
      ViewFile view(state_dir(), kRegistry);
      view.mark_changed();
      view.stop(fleet);
    }
    --writing;
  };
  std::thread one(write, 2000);
  std::thread other(write, 1000);
  std::size_t reads = 0;
  while (writing > 0 || reads < 2) {
    EXPECT_TRUE(ViewFile(state_dir(), kRegistry).load().has_value()) << "after " << reads << " good ones";
    ++reads;
  }
  one.join();
  other.join();
  set_log_tap({});
  EXPECT_EQ(errors, 0) << "one took the other's partial file away";
}

TEST_F(RouterViewFileTest, NothingToRead) {
  EXPECT_FALSE(ViewFile(state_dir(), kRegistry).load().has_value());
  EXPECT_FALSE(ViewFile("", kRegistry).load().has_value());
  save();
  EXPECT_FALSE(ViewFile(state_dir(), "http://other:1").load().has_value());
  EXPECT_TRUE(folder_.has("state/router_view.json")) << "the other registry's view stays until there is a new one";
}

TEST_F(RouterViewFileTest, Unchanged_NothingIsWritten) {
  ViewFile view(state_dir(), kRegistry);
  view.tick(fleet_);
  view.mark_confirmed();
  view.stop(fleet_);
  EXPECT_FALSE(folder_.has("state/router_view.json"));
}

TEST_F(RouterViewFileTest, Confirmed_TheAgeStartsOver) {
  save();
  std::string text = folder_.read("state/router_view.json");
  const std::size_t at = text.find("\"saved_at_us\":") + 14;
  text.replace(at, text.find(',', at) - at, "1700000000000000");
  folder_.write("state/router_view.json", text);
  set_time(1'700'000'000);
  ViewFile view(state_dir(), kRegistry);
  const auto old = view.load();
  ASSERT_TRUE(old.has_value());
  EXPECT_GT(old->age, 24h);
  view.mark_confirmed();
  view.stop(fleet_);
  const auto fresh = ViewFile(state_dir(), kRegistry).load();
  ASSERT_TRUE(fresh.has_value());
  EXPECT_LT(fresh->age, 1min);
  EXPECT_EQ(folder_.read("state/router_view.json"), text) << "only the time of the file was set";
}

TEST_F(RouterViewFileTest, Damaged_IsSetAside) {
  save();
  const std::string text = folder_.read("state/router_view.json");
  folder_.write("state/router_view.json", text.substr(0, text.size() / 2));
  EXPECT_FALSE(ViewFile(state_dir(), kRegistry).load().has_value());
  EXPECT_FALSE(folder_.has("state/router_view.json"));
  EXPECT_TRUE(folder_.has("state/router_view.json.damaged"));
  save();
  EXPECT_TRUE(ViewFile(state_dir(), kRegistry).load().has_value());
}

TEST_F(RouterViewFileTest, FolderThatCannotBeMade_IsNotFatal) {
  folder_.write("state", "a file where the folder should be");
  save();
  EXPECT_FALSE(ViewFile(state_dir(), kRegistry).load().has_value());
}

}  // namespace
}  // namespace svc::router
