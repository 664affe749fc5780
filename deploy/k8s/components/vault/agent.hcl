# Signs in as the pod's own service account and writes the secrets of its service, again whenever they have changed. The
# service starts once they are there. It never ends by itself: a pod of which a sidecar is down is not ready, so an outage of
# Vault would take the gateway away.
auto_auth {
  method "kubernetes" {
    mount_path = "auth/kubernetes"
    config = {
      role       = "worksite-services"
      token_path = "/var/run/secrets/vault/token"
    }
  }
}

vault {
  retry {
    num_retries = 3  # then it says so, and begins anew
  }
}

template_config {
  static_secret_render_interval = "1m"
}

# One file for each key, as SECRETS_DIR wants them; the list of their names comes last, by which the start is told. They
# are opened again to be written anew, so the agent, which is not root, must be allowed to.
template {
  destination          = "/run/secrets/worksite/.complete"
  error_on_missing_key = true
  perms                = "0600"
  contents             = <<EOT
{{- with secret (printf "secret/data/worksite/%s" (env "SERVICE")) }}
{{- range $name, $value := .Data.data }}
{{- $value | writeToFile (printf "/run/secrets/worksite/%s" $name) "" "" "0600" }}
{{ $name }}
{{- end }}
{{- end }}
EOT
}
