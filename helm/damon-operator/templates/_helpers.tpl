{{/* No name may end with a dot or a dash, which may be where a long one is cut. */}}
{{- define "damon.short" -}}
{{- regexReplaceAll "[.-]+$" (trunc 40 .) "" }}
{{- end }}

{{- define "damon.name" -}}
{{- include "damon.short" (default .Chart.Name .Values.nameOverride) }}
{{- end }}

{{/* 40 characters: the longest suffix below still leaves a valid name for a Pod of a Job. */}}
{{- define "damon.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- include "damon.short" .Values.fullnameOverride }}
{{- else if contains (include "damon.name" .) .Release.Name }}
{{- include "damon.short" .Release.Name }}
{{- else }}
{{- include "damon.short" (printf "%s-%s" .Release.Name (include "damon.name" .)) }}
{{- end }}
{{- end }}

{{- define "damon.agent" -}}
{{ include "damon.fullname" . }}-agent
{{- end }}

{{- define "damon.uninstall" -}}
{{ include "damon.fullname" . }}-uninstall
{{- end }}

{{/* The name of a Service begins with a letter and has no dots, unlike that of a release. */}}
{{- define "damon.service" -}}
{{- $name := include "damon.fullname" . | replace "." "-" -}}
{{ regexMatch "^[0-9]" $name | ternary "damon-" "" }}{{ $name }}-metrics
{{- end }}

{{- define "damon.test" -}}
{{ include "damon.fullname" . }}-test
{{- end }}

{{/* Takes (list $ "component"). Never changes within a release: Deployments and DaemonSets select by it. */}}
{{- define "damon.selector" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: {{ include "damon.name" $ | quote }}
app.kubernetes.io/instance: {{ $.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Takes (list $ "component"). */}}
{{- define "damon.labels" -}}
{{- $ := index . 0 -}}
{{ include "damon.selector" . }}
app.kubernetes.io/part-of: damon-operator
app.kubernetes.io/managed-by: {{ $.Release.Service }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Takes (list $ "component" labels). A user's labels cannot stand beside the chart's own of the same name. */}}
{{- define "damon.labelsAnd" -}}
{{- merge (include "damon.labels" . | fromYaml) (index . 2 | default dict) | toYaml }}
{{- end }}

{{/* Takes (list $ "operator|agent"). */}}
{{- define "damon.image" -}}
{{- $ := index . 0 -}}
{{- $component := index . 1 -}}
{{- $stated := (index $.Values $component).image -}}
{{- $stated | default (printf "%s/%s:%s" $.Values.image.prefix $component ($.Values.image.tag | default $.Chart.AppVersion)) }}
{{- end }}

{{/* The container security context of everything but the agent: level restricted of the Pod Security Standards. */}}
{{- define "damon.restricted" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "damon.user" -}}
system:serviceaccount:{{ (index . 0).Release.Namespace }}:{{ index . 1 }}
{{- end }}

{{/* Takes (list "event" weight). */}}
{{- define "damon.hook" -}}
helm.sh/hook: {{ index . 0 }}
helm.sh/hook-weight: {{ index . 1 | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{- define "damon.metricsPort" -}}
{{- if eq (int .Values.metrics.port) (int .Values.operator.livenessPort) }}
{{- fail (printf "metrics.port and operator.livenessPort are both %d: the operator cannot listen twice" (int .Values.metrics.port)) }}
{{- end }}
{{- int .Values.metrics.port }}
{{- end }}

{{- define "damon.healthPort" -}}
{{- if and .Values.metrics.enabled (eq (int .Values.metrics.port) (int .Values.agent.healthPort)) }}
{{- fail (printf "metrics.port and agent.healthPort are both %d: the agent cannot listen twice" (int .Values.metrics.port)) }}
{{- end }}
{{- int .Values.agent.healthPort }}
{{- end }}

{{/* "true" where a Prometheus Operator is, or is said to be; else empty. */}}
{{- define "damon.monitoringApi" -}}
{{- if or .Values.metrics.assumeMonitoringApi (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1") }}true{{ end }}
{{- end }}
