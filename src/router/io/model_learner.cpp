#include "router/io/model_learner.hpp"

#include "router/core/model_list.hpp"

namespace svc::router {
namespace {

constexpr Duration kAgain = std::chrono::seconds(60);
constexpr Duration kAskAgainAfterFailure = std::chrono::seconds(5);
constexpr std::size_t kTidyAbove = 64;

}  // namespace

void ModelLearner::configure(bool enabled, Duration timeout, std::string token) {
  token_ = std::move(token);
  enabled_ = enabled;
  timeout_ = timeout;
}

void ModelLearner::proved_well(const MonitorTarget& target) {
  if (!enabled_ || target.models_stated || tasks_ == nullptr) return;
  if (asked_.size() > kTidyAbove) {
    std::erase_if(asked_, [](const auto& item) { return item.second.live.expired() && !item.second.asking; });
  }
  Asked& asked = asked_[target.live.get()];
  if (asked.live.lock() != target.live) asked = {target.live, {}, false};  // an address that was used before
  if (asked.asking || asked.next > steady_now()) return;
  asked.asking = tasks_->spawn("ask for models", ask(target));
}

asio::awaitable<void> ModelLearner::ask(MonitorTarget target) {
  std::vector<std::string> models;
  for (const char* page : {"/v1/models", "/models"}) {
    HttpCall call;
    auto url = parse_http_url(target.url(page));
    if (!url) break;
    call.url = *std::move(url);
    if (!token_.empty()) call.fields.emplace_back("Authorization", "Bearer " + token_);
    const auto reply = co_await client_.call(std::move(call), Deadline::after(steady_now(), timeout_));
    if (reply && reply->status == 200) models = parse_model_ids(reply->body);
    if (!models.empty()) break;
  }
  Asked& asked = asked_[target.live.get()];
  asked.asking = false;
  asked.next = steady_now() + (models.empty() ? kAskAgainAfterFailure : kAgain);
  if (!models.empty()) learned_(target.name, target.incarnation, std::move(models));
}

}  // namespace svc::router
