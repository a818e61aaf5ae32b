#include "ctl/proxy_inputs.hpp"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "common/core/json_reader.hpp"
#include "common/core/registry_url.hpp"
#include "common/io/config_file.hpp"
#include "common/io/http_client.hpp"
#include "ctl/core/proxy_plan.hpp"
#include "ctl/io/names.hpp"
#include "ctl/io/program.hpp"

namespace svc::ctl {
namespace {

constexpr Duration kRegistryTimeout = std::chrono::seconds(10);
constexpr Duration kNamesTimeout = std::chrono::seconds(10);

void make_absolute(std::string& path) {
  std::error_code unknown;
  if (!path.empty()) path = std::filesystem::absolute(path, unknown).string();
}

/// What was wrong, of "infinilm-router: PHASE: what was wrong" and perhaps more lines.
std::string first_reason(const std::string& errors) {
  std::string line = errors.substr(0, errors.find('\n'));
  for (int part = 0; part < 2; ++part) {
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) line.erase(0, colon + 2);
  }
  return line;
}

Result<std::string> printed_settings(const std::string& config_file) {
  const std::string router = sibling_program("infinilm-router");
  if (router.empty()) {
    return io_failed("infinilm-router is needed to read its configuration",
                     "it is neither beside infinilm-ctl nor in PATH");
  }
  const auto end = run_program({router, "--config", config_file, "--print-config"});
  if (!end) return end.error();
  if (end->exit_code != 0) return invalid(first_reason(end->errors));
  return end->output;
}

/// Those of the file that --static-services names come besides those of the configuration.
Result<ProxyCandidates> statics_of(const nlohmann::json& printed, const std::string& config_file) {
  ProxyCandidates all;
  std::string second_file;
  JsonReader reader(printed.at("router"), "router");
  reader.text("static_services", second_file);
  if (printed.contains("static_services")) {
    auto found = static_upstreams(printed);
    if (!found) return wrap(config_file, found.error());
    all = *std::move(found);
  }
  if (second_file.empty()) return all;
  const auto file = read_json_file(second_file);
  if (!file) return file.error();
  const auto found = static_upstreams(*file);
  if (!found) return wrap(second_file, found.error());
  all.upstreams.insert(all.upstreams.end(), found->upstreams.begin(), found->upstreams.end());
  return all;
}

Result<HttpReply> ask_registry(const std::string& base, AccessOptions access, const RouterFacts& router) {
  if (access.token_file.empty()) access.token_file = router.registry_token_file;
  if (access.tls_ca.empty()) access.tls_ca = router.settings.tls_ca;
  const auto pages = access.open();
  if (!pages) return pages.error();
  auto reply = pages->get(base + "/services?healthy=true", kRegistryTimeout);
  if (!reply) return wrap("the registry " + base + " cannot be asked", reply.error());
  return reply;
}

/// Static ones of the router, but those whose name is there already.
void add_statics(ProxyCandidates& found, const RouterFacts& router) {
  std::set<std::string> names;
  for (const ProxyUpstream& upstream : found.upstreams) names.insert(upstream.name);
  for (const ProxyUpstream& upstream : router.statics.upstreams) {
    if (!names.contains(upstream.name)) found.upstreams.push_back(upstream);
  }
}

Result<ProxyCandidates> from_registry(const std::string& base, const HttpReply& reply, const RouterFacts& router) {
  if (reply.status != 200) {
    const std::string hint = reply.status == 401 || reply.status == 403 ? "; --token-file has its token" : "";
    return unavailable("the registry " + base + " answers " + std::to_string(reply.status) + hint);
  }
  auto found = registered_upstreams(reply.body);
  if (!found) return wrap("the registry " + base, found.error());
  if (found->upstreams.empty()) return unavailable("the registry " + base + " lists no healthy instance");
  add_statics(*found, router);  // a registered service takes the place of the static one of its name
  return found;
}

Result<ProxyCandidates> from_stand_ins(const ProxyInputs& inputs, RouterFacts& router, const Error& problem) {
  ProxyCandidates all;
  router.settings.source = inputs.router_config;
  for (const std::string& path : inputs.stand_ins) {
    const auto file = read_json_file(path);
    if (!file) return file.error();
    const auto found = static_upstreams(*file);
    if (!found) return wrap(path, found.error());
    all.upstreams.insert(all.upstreams.end(), found->upstreams.begin(), found->upstreams.end());
    router.settings.source += (router.settings.source.empty() ? "" : " and ") + path;
  }
  add_statics(all, router);
  if (all.upstreams.empty()) return problem;
  all.note = problem.to_string() + ": what the files say is taken, whether it runs or not";
  return all;
}

Result<ProxyCandidates> from_file(const std::string& path) {
  const auto file = read_json_file(path);
  if (!file) return invalid(file.error().to_string());  // it was named on the command line
  auto found = static_upstreams(*file);
  if (!found) return wrap(path, found.error());
  return found;
}

}  // namespace

Result<RouterFacts> read_router_facts(const std::string& config_file) {
  RouterFacts facts;
  if (config_file.empty()) return facts;
  const auto printed = printed_settings(config_file);
  if (!printed) return printed.error();
  auto settings = proxy_settings(*printed);
  if (!settings) return settings.error();
  facts.settings = *std::move(settings);
  for (std::string* path : {&facts.settings.tls_cert, &facts.settings.tls_key, &facts.settings.tls_ca}) {
    make_absolute(*path);
  }
  const auto document = parse_json(*printed);
  JsonReader reader(document->at("router"), "router");
  reader.text("registry_url", facts.registry_url);
  reader.text("registry_token_file", facts.registry_token_file);
  auto statics = statics_of(*document, config_file);
  if (!statics) return statics.error();
  facts.statics = *std::move(statics);
  return facts;
}

Result<ProxyCandidates> find_upstreams(const ProxyInputs& inputs, const AccessOptions& access, RouterFacts& router) {
  if (!inputs.static_file.empty()) {
    router.settings.source = inputs.static_file;
    return from_file(inputs.static_file);
  }
  const std::string& url = inputs.registry_url.empty() ? router.registry_url : inputs.registry_url;
  if (!url.empty()) {
    const auto base = registry_base(url);
    if (!base) return wrap("--registry", base.error());
    router.settings.source = *base;
    const auto reply = ask_registry(*base, access, router);
    if (reply) return from_registry(*base, *reply, router);
    const Errc code = reply.error().code;
    const bool silent = code == Errc::unavailable || code == Errc::timed_out || code == Errc::connect_failed;
    if (inputs.stand_ins.empty() || !silent) return reply.error();
    return from_stand_ins(inputs, router, reply.error());
  }
  if (inputs.router_config.empty()) {
    return invalid("say where the instances are: --registry URL, --static FILE, or --router-config FILE");
  }
  if (router.statics.upstreams.empty()) {
    return invalid(inputs.router_config + " has neither a registry_url nor static services");
  }
  router.settings.source = inputs.router_config;
  return router.statics;
}

void leave_out_unknown_names(ProxyCandidates& found) {
  std::set<std::string> hosts;
  for (const ProxyUpstream& upstream : found.upstreams) hosts.insert(upstream.endpoint.host);
  const auto missing = names_without_address(hosts, kNamesTimeout);
  std::erase_if(found.upstreams, [&](const ProxyUpstream& upstream) {
    if (!missing.contains(upstream.endpoint.host)) return false;
    found.left_out.push_back("'" + harmless(upstream.name) + "': its host " + upstream.endpoint.host +
                             " has no address here");
    return true;
  });
}

}  // namespace svc::ctl
