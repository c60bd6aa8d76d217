// Prints what identities cost, as JSON: `./playground bench ept` reads it.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/identity.hpp"

int main() {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const hvp::bench::IdentityCost& cost : hvp::bench::identity_costs()) {
        nlohmann::ordered_json one = {{"memory_gib", cost.memory_gib},
                                      {"page_bytes", hvp::ept::bytes_of_entry(cost.largest)},
                                      {"table_bytes", cost.table_bytes},
                                      {"view_bytes", cost.view_bytes}};
        if (cost.seconds) {
            one["seconds"] = *cost.seconds;
        }
        all.push_back(one);
    }
    std::puts(all.dump().c_str());
}
