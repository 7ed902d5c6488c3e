// Volumes provisions the volumes of one node as folders below one folder of it.
//
//	machine-volumes -kubeconfig FILE -provisioner NAME -node NAME -folder DIR -health 127.0.0.1:1
//
// It answers for claims of the provisioner's storage classes that the scheduler has given to the
// node, and leaves every other claim and volume alone. Sizes are not enforced.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const (
	selectedNode   = "volume.kubernetes.io/selected-node"
	headersTimeout = 5 * time.Second
)

type provisioner struct {
	node   string
	folder string
}

// ShouldProvision says that claims of other nodes are not ours.
func (p *provisioner) ShouldProvision(_ context.Context, claim *corev1.PersistentVolumeClaim) bool {
	return claim.Annotations[selectedNode] == p.node
}

// ShouldDelete says that volumes elsewhere than in our folder are not ours.
func (p *provisioner) ShouldDelete(_ context.Context, volume *corev1.PersistentVolume) bool {
	return volume.Spec.Local != nil && volume.Spec.Local.Path == p.path(volume.Name)
}

// Provision makes a folder that only root can enter; the kubelet opens it to the pod's fsGroup.
func (p *provisioner) Provision(
	_ context.Context, options controller.ProvisionOptions,
) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	claim := options.PVC
	if mode := claim.Spec.VolumeMode; mode != nil && *mode != corev1.PersistentVolumeFilesystem {
		return nil, controller.ProvisioningFinished, fmt.Errorf("volume mode %s is not supported", *mode)
	}
	for _, mode := range claim.Spec.AccessModes {
		if mode != corev1.ReadWriteOnce && mode != corev1.ReadWriteOncePod {
			return nil, controller.ProvisioningFinished, fmt.Errorf("access mode %s is not supported", mode)
		}
	}
	path := p.path(options.PVName)
	if err := os.Mkdir(path, 0o700); err != nil && !os.IsExist(err) {
		return nil, controller.ProvisioningFinished, err
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes: claim.Spec.AccessModes,
			Capacity: corev1.ResourceList{
				corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage],
			},
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				Local: &corev1.LocalVolumeSource{Path: path},
			},
			NodeAffinity: p.affinity(),
		},
	}, controller.ProvisioningFinished, nil
}

// Delete removes the folder with what is in it.
func (p *provisioner) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	return os.RemoveAll(p.path(volume.Name))
}

func (p *provisioner) path(volume string) string {
	return filepath.Join(p.folder, filepath.Base(volume))
}

func (p *provisioner) affinity() *corev1.VolumeNodeAffinity {
	return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{
				Key:      corev1.LabelHostname,
				Operator: corev1.NodeSelectorOpIn,
				Values:   []string{p.node},
			}},
		}},
	}}
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "file that says how to reach the API server")
	name := flag.String("provisioner", "", "of the storage classes")
	node := flag.String("node", "", "whose claims are provisioned")
	folder := flag.String("folder", "", "of the volumes, as an absolute path on the node")
	health := flag.String("health", "", "address and port that answer 200 to /healthz")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		klog.Fatalf("reading %s: %v", *kubeconfig, err)
	}
	if err := os.MkdirAll(*folder, 0o700); err != nil {
		klog.Fatal(err)
	}
	go answer(*health)
	ctx := context.Background()
	provisioner := &provisioner{node: *node, folder: *folder}
	controller.NewProvisionController(
		ctx,
		kubernetes.NewForConfigOrDie(config),
		*name,
		provisioner,
		controller.LeaderElection(false),
		controller.FailedProvisionThreshold(0),
		controller.FailedDeleteThreshold(0),
	).Run(ctx)
}

func answer(address string) {
	server := http.Server{
		Addr:              address,
		ReadHeaderTimeout: headersTimeout,
		Handler: http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
			if request.URL.Path != "/healthz" {
				http.NotFound(response, request)
			}
		}),
	}
	klog.Fatal(server.ListenAndServe())
}
