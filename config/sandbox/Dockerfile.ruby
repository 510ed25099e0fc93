# homeostat/sandbox-ruby:1: the sandbox with Ruby, Bundler, Rake, minitest and RSpec. Built by `scripts/sandbox-image ruby`.
# A project's other gems are not in here: they come in as its dependency snapshot.
FROM homeostat/sandbox:1
USER root
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        bundler rake ruby ruby-minitest ruby-rspec ruby-test-unit \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log
USER agent
